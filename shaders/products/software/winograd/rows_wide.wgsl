// How Winograd's input transform loads images whose width is a multiple of 8, or of 4 × 4 pixels: two rows at once.
// Chosen: wide_*.
// Uses: winograd_tile.
@group(0) @binding(1) var<storage, read> x: array<Wide>;

// Pixels 8 · i to 8 · i + 7 of a row, counted over all images and channels.
fn eight(row: u32, i: u32) -> array<vec4<f32>, 2> {
    return floats(x[row * ((p.w + 7u) / 8u) + i]);
}
