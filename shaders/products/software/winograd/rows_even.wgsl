// How Winograd's transforms load images of even width: two pixels at once, and zeros past the end of a row. Chosen: wide_*.
// Uses: winograd_tile.
@group(0) @binding(1) var<storage, read> x: array<Two>;

// Pixels 4 · i to 4 · i + 3 of a row, counted over all images and channels.
fn four(row: u32, i: u32) -> vec4<f32> {
    let pairs = p.w / 2u;
    let column = vec2<u32>(i * 2u) + vec2<u32>(0u, 1u);
    let at = vec2<u32>(row * pairs) + min(column, vec2<u32>(pairs - 1u));
    let inside = column < vec2<u32>(pairs);
    return select(vec4<f32>(), vec4<f32>(pair_of(x[at.x]), pair_of(x[at.y])), inside.xxyy);
}

// Pixels 8 · i to 8 · i + 7.
fn eight(row: u32, i: u32) -> array<vec4<f32>, 2> {
    return array<vec4<f32>, 2>(four(row, 2u * i), four(row, 2u * i + 1u));
}
