// Winograd's output transform: Y = Aᵀ M A, four rows of four pixels of a tile from the 36 products.
//   y[image][channel][4 · tile row + r][4 · tile column + c] = (Aᵀ M A)[r][c] + option · bias[channel]
// m: [36, channels, tiles], rows padded to a multiple of 8. One invocation makes a quad of tiles of a channel.
// Needs winograd.wgsl and winograd_tile.wgsl.
@group(0) @binding(1) var<storage, read> m: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bias: array<f32>; // not read where option is 0
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

// Row r of M, transformed along the row.
fn row(at: u32, step: u32, r: u32) -> Four {
    let first = at + r * 6u * step;
    return transform_output(Six(
        m[first], m[first + step], m[first + 2u * step], m[first + 3u * step], m[first + 4u * step],
        m[first + 5u * step]));
}

fn column(rows: array<Four, 6>, c: u32) -> Four {
    return transform_output(Six(rows[0][c], rows[1][c], rows[2][c], rows[3][c], rows[4][c], rows[5][c]));
}

// Stores tile t of a quad.
fn store(columns: array<Four, 4>, quad: u32, t: u32, channel: u32, added: f32) {
    let found = place(quad * 4u + t, channel);
    for (var r = 0u; r < 4u; r++) {
        if (found.y + r < p.h) {
            y[found.at + r * p.across] =
                vec4<f32>(columns[0][r][t], columns[1][r][t], columns[2][r][t], columns[3][r][t]) + added;
        }
    }
}

@compute @workgroup_size(WORKGROUP)
fn winograd_output(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    let quads = (p.images * p.in_image + 7u) / 8u * 2u;
    let channel = i / quads;
    if (channel >= p.channels) {
        return;
    }
    let step = p.channels * quads;
    // Written out, because the driver unrolls loops only up to some 800 instructions.
    let rows = array<Four, 6>(
        row(i, step, 0u), row(i, step, 1u), row(i, step, 2u), row(i, step, 3u), row(i, step, 4u), row(i, step, 5u));
    let columns = array<Four, 4>(column(rows, 0u), column(rows, 1u), column(rows, 2u), column(rows, 3u));
    var added = 0.0;
    if (p.option == 1u) {
        added = bias[channel];
    }
    let quad = i - channel * quads;
    store(columns, quad, 0u, channel, added);
    store(columns, quad, 1u, channel, added);
    store(columns, quad, 2u, channel, added);
    store(columns, quad, 3u, channel, added);
}
