// How Winograd's transforms load images of odd width: pixel by pixel, and zeros past the end of a row.
// Uses: winograd_tile.
@group(0) @binding(1) var<storage, read> x: array<f32>;

// Pixels 4 · i to 4 · i + 3 of a row, counted over all images and channels.
fn four(row: u32, i: u32) -> vec4<f32> {
    let column = vec4<u32>(i * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
    let at = vec4<u32>(row * p.w) + min(column, vec4<u32>(p.w - 1u));
    return select(vec4<f32>(), vec4<f32>(x[at.x], x[at.y], x[at.z], x[at.w]), column < vec4<u32>(p.w));
}

// Pixels 8 · i to 8 · i + 7.
fn eight(row: u32, i: u32) -> array<vec4<f32>, 2> {
    return array<vec4<f32>, 2>(four(row, 2u * i), four(row, 2u * i + 1u));
}
