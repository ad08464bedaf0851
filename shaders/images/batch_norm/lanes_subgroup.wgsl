// Who works on a channel of batch_norm: a workgroup that is one subgroup of LANES (a constant), whose sums meet by shuffles.
const GROUP = LANES;

struct Own { channel: u32, lane: u32 }

fn own(group: u32, local: u32) -> Own {
    return Own(group, local);
}

fn sum_lanes(value: vec2<f32>, lane: u32) -> vec2<f32> {
    var sum = value;
    for (var step = 1u; step < LANES; step *= 2u) {
        sum += vec2<f32>(subgroupShuffle(sum.x, lane ^ step), subgroupShuffle(sum.y, lane ^ step));
    }
    return sum;
}
