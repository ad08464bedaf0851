// Who works on a channel of batch_norm: a workgroup, whose sums meet in its memory.
const LANES = 256u;
const GROUP = LANES;

struct Own { channel: u32, lane: u32 }

fn own(group: u32, local: u32) -> Own {
    return Own(group, local);
}

var<workgroup> partial: array<vec2<f32>, LANES>;

fn sum_lanes(value: vec2<f32>, lane: u32) -> vec2<f32> {
    // The sum of an earlier call may still be read.
    workgroupBarrier();
    partial[lane] = value;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            partial[lane] += partial[lane + half];
        }
    }
    workgroupBarrier();
    return partial[0];
}
