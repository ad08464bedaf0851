// Shared: how a transformed tile is stored in strips. Needs winograd.wgsl.
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

// Stores column c of a tile's 6 × 6 elements. at: where element 0 is stored; step: from element to element.
fn store_column(v: Six, c: u32, at: u32, step: u32) {
    out[at + c * step] = v[0];
    out[at + (6u + c) * step] = v[1];
    out[at + (12u + c) * step] = v[2];
    out[at + (18u + c) * step] = v[3];
    out[at + (24u + c) * step] = v[4];
    out[at + (30u + c) * step] = v[5];
}
