// How the transform of output gradients loads images whose width is a multiple of 4.
// Uses: winograd_tile.
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;

// Pixels 4 · i to 4 · i + 3 of a row, counted over all images and channels.
fn four(row: u32, i: u32) -> vec4<f32> {
    return x[row * p.tiles_x + i];
}
