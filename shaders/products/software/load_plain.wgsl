// How gemm_panels loads its panels, without subgroups: every lane loads all rows itself.
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;

// Nothing is loaded ahead.
fn own_rows(at: u32, lane: u32) -> array<vec4<f32>, 4> {
    return array<vec4<f32>, 4>();
}

// Rows 4q .. 4q + 3 of the panel, each with four k. at: where the panel's four k begin, in vec4.
fn rows_of(own: array<vec4<f32>, 4>, at: u32, q: u32) -> array<vec4<f32>, 4> {
    let i = at + q * 4u;
    return array<vec4<f32>, 4>(a[i], a[i + 1u], a[i + 2u], a[i + 3u]);
}

// Eight columns at one k. at: in eights.
fn own_cols(at: u32) -> array<vec4<f32>, 2> {
    return array<vec4<f32>, 2>(b[at * 2u], b[at * 2u + 1u]);
}

// Nothing is loaded ahead.
fn own_biases(batch: u32, row: u32, lane: u32) -> vec4<f32> {
    return vec4<f32>();
}

// The biases of rows 4q .. 4q + 3 of the panel. row: the panel's first.
fn biases_of(own: vec4<f32>, batch: u32, row: u32, q: u32) -> vec4<f32> {
    return biases(batch, row + q * 4u);
}
