// As load_subgroup.wgsl, two floats a component: these adapters load component by component, whatever its width.
@group(0) @binding(1) var<storage, read> a: array<vec4<u64>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<u64>>;

// The rows of this lane, each with four k. at: where the strip's four k begin, in vec4 of floats.
fn own_rows(at: u32, lane: u32) -> array<vec4<f32>, 4> {
    let i = at / 2u + lane % (ROWS / 4u) * 2u;
    let first = eight(a[i]);
    let second = eight(a[i + 1u]);
    return array<vec4<f32>, 4>(first[0], first[1], second[0], second[1]);
}

// Rows 4q .. 4q + 3 of the strip.
fn rows_of(own: array<vec4<f32>, 4>, at: u32, q: u32) -> array<vec4<f32>, 4> {
    return array<vec4<f32>, 4>(from_lane(own[0], q), from_lane(own[1], q), from_lane(own[2], q), from_lane(own[3], q));
}

fn from_lane(v: vec4<f32>, q: u32) -> vec4<f32> {
    return vec4<f32>(subgroupShuffle(v.x, q), subgroupShuffle(v.y, q), subgroupShuffle(v.z, q), subgroupShuffle(v.w, q));
}

// Eight columns at one k. at: in vec4 of floats.
fn own_cols(at: u32) -> array<vec4<f32>, 2> {
    return eight(b[at / 2u]);
}

fn eight(v: vec4<u64>) -> array<vec4<f32>, 2> {
    return array<vec4<f32>, 2>(
        vec4<f32>(low(v.x), high(v.x), low(v.y), high(v.y)), vec4<f32>(low(v.z), high(v.z), low(v.w), high(v.w)));
}

fn low(v: u64) -> f32 {
    return bitcast<f32>(u32(v));
}

fn high(v: u64) -> f32 {
    return bitcast<f32>(u32(v >> 32u));
}

// The biases of this lane's rows. row: the strip's first.
fn own_biases(batch: u32, row: u32, lane: u32) -> vec4<f32> {
    return biases(batch, row + lane % (ROWS / 4u) * 4u);
}

// The biases of rows 4q .. 4q + 3 of the strip.
fn biases_of(own: vec4<f32>, batch: u32, row: u32, q: u32) -> vec4<f32> {
    return from_lane(own, q);
}
