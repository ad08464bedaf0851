// Winograd's output transform: Y = Aᵀ M A, four rows of four pixels of a tile from the 36 products.
//   pixel (4 · tile row + r, 4 · tile column + c) of an image's channel = the epilogue of (Aᵀ M A)[r][c]
// store_*.wgsl says how pixels are stored.
// m: [36, channels, tiles], rows padded to a multiple of 8. One invocation makes a quad of tiles of a channel.
// Chosen: store_*, and what the epilogue chooses.
// Uses: divide, products/epilogue, index, winograd, winograd_tile.
@group(0) @binding(1) var<storage, read> m: array<vec4<f32>>;
// Four rows of four pixels of a quad's tiles.
alias Square = array<Four, 4>;

// A row of M's six elements, transformed along the row.
fn row(at: u32, step: u32) -> Four {
    return transform_output(Six(
        m[at], m[at + step], m[at + 2u * step], m[at + 3u * step], m[at + 4u * step], m[at + 5u * step]));
}

@compute @workgroup_size(WORKGROUP)
fn winograd_output(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    let quads = (p.images * p.tiles_per_image + 7u) / 8u * 2u;
    let channel = divide(i, quads);
    if (channel >= p.channels) {
        return;
    }
    let step = p.channels * quads;
    var pixels: Square;
    for (var r = 0u; r < p.edge; r++) {
        let t = row(i + r * 6u * step, step);
        let k = output_row(r);
        for (var q = 0u; q < 4u; q++) {
            for (var c = 0u; c < 4u; c++) {
                pixels[q][c] += k[q] * t[c];
            }
        }
    }
    let added = row_bias(channel);
    for (var q = 0u; q < 4u; q++) {
        for (var c = 0u; c < 4u; c++) {
            pixels[q][c] += added;
        }
    }
    store_quad(pixels, (i - channel * quads) * 4u, channel);
}
