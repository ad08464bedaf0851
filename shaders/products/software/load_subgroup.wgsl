// How gemm_panels loads its panels, with subgroups: lane l loads rows 4l .. 4l + 3 at four k once, and shuffles
// hand them to all lanes. The workgroup is one subgroup. Chosen: wide_*.
@group(0) @binding(1) var<storage, read> a: array<Wide>;
@group(0) @binding(2) var<storage, read> b: array<Wide>;

// The rows of this lane, each with four k. at: where the panel's four k begin, in vec4.
fn own_rows(at: u32, lane: u32) -> array<vec4<f32>, 4> {
    let i = at / 2u + lane % (ROWS / 4u) * 2u;
    let first = floats(a[i]);
    let second = floats(a[i + 1u]);
    return array<vec4<f32>, 4>(first[0], first[1], second[0], second[1]);
}

// Rows 4q .. 4q + 3 of the panel.
fn rows_of(own: array<vec4<f32>, 4>, at: u32, q: u32) -> array<vec4<f32>, 4> {
    return array<vec4<f32>, 4>(from_lane(own[0], q), from_lane(own[1], q), from_lane(own[2], q), from_lane(own[3], q));
}

fn from_lane(v: vec4<f32>, q: u32) -> vec4<f32> {
    return vec4<f32>(subgroupShuffle(v.x, q), subgroupShuffle(v.y, q), subgroupShuffle(v.z, q), subgroupShuffle(v.w, q));
}

// Eight columns at one k. at: in eights.
fn own_cols(at: u32) -> array<vec4<f32>, 2> {
    return floats(b[at]);
}

// The biases of this lane's rows. row: the panel's first.
fn own_biases(batch: u32, row: u32, lane: u32) -> vec4<f32> {
    return biases(batch, row + lane % (ROWS / 4u) * 4u);
}

// The biases of rows 4q .. 4q + 3 of the panel.
fn biases_of(own: vec4<f32>, batch: u32, row: u32, q: u32) -> vec4<f32> {
    return from_lane(own, q);
}
