// Shared: how a transformed tile is stored in panels.
// Uses: winograd.
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

// Stores a row of a tile's 6 × 6 elements. at: where its element 0 is stored; step: from element to element.
fn store_row(v: Six, at: u32, step: u32) {
    for (var c = 0u; c < 6u; c++) {
        out[at + c * step] = v[c];
    }
}
