// Winograd's output transform: Y = Aᵀ M A, four rows of four pixels of a tile from the 36 products.
//   y[image][channel][4 · tile row + r][4 · tile column + c] = (Aᵀ M A)[r][c] + option · bias[channel]
// m: [36, channels, tiles], rows padded to a multiple of 8. One invocation makes a quad of tiles of a channel.
// Needs winograd.wgsl and winograd_tile.wgsl.
@group(0) @binding(1) var<storage, read> m: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bias: array<f32>; // not read where option is 0
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

alias Square = array<Four, 4>;

// A row of M's six elements, transformed along the row.
fn row(at: u32, step: u32) -> Four {
    return transform_output(Six(
        m[at], m[at + step], m[at + 2u * step], m[at + 3u * step], m[at + 4u * step], m[at + 5u * step]));
}

// Stores tile t of a quad.
fn store(y4: Square, quad: u32, t: u32, channel: u32, added: f32) {
    let found = place(quad * 4u + t, channel);
    for (var r = 0u; r < 4u; r++) {
        if (found.y + r < p.h) {
            y[found.at + r * p.across] =
                vec4<f32>(y4[r][0][t], y4[r][1][t], y4[r][2][t], y4[r][3][t]) + added;
        }
    }
}

@compute @workgroup_size(WORKGROUP)
fn winograd_output(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    let quads = (p.images * p.in_image + 7u) / 8u * 2u;
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
    var added = 0.0;
    if (p.option == 1u) {
        added = bias[channel];
    }
    let quad = i - channel * quads;
    for (var t = 0u; t < p.edge - 2u; t++) {
        store(pixels, quad, t, channel, added);
    }
}
