// Winograd's input transform, packed for gemm_panels: V = Bᵀ d B of every 6 × 6 window of a padded image.
//   d[r][c] = x[image][channel][4 · tile row + r - 1][4 · tile column + c - 1], 0 outside of the image
//   as_a 0: out[e][tile panel][channel][tile % panel], the operand B of the forward pass and of the input gradient
//   as_a 1: out[e][channel panel][tile / 4][channel % panel][tile % 4], the operand A of the weight gradient
//   For the guard (winograd_guard.wgsl), of a quad of tiles: as_a 0: summary[quad][channel][8], their windows' blocks;
//   as_a 1: summary[quad][channel], of the pixels that are the tiles' own.
// e = 0 … 35 counts V's elements row by row. One invocation transforms a quad of tiles in a channel. Channels past the
// last, up to the next multiple of four (as_a 0), and tiles likewise are zero.
// Eight pixels are loaded at once, RUN tiles of a quad lie side by side in one row of tiles, and where rows are longer
// than that, EDGES is 1. Both are constants: RUN is 4 where tiles_x is a multiple of 4, else 2, or 1 where the image is a
// single tile. Chosen: rows_wide, or rows_even or rows_ragged where w is no multiple of 8.
// Uses: divide, index, winograd, winograd_packed, winograd_summary, winograd_tile.
@group(0) @binding(4) var<storage, read_write> summary: array<u32>;

// Row r of the windows of two tiles that lie side by side: their eight pixels, and where they begin or end a run, the
// pixel beyond.
struct Pair {
    pixels: array<vec4<f32>, 2>,
    left: f32,
    right: f32,
}

fn load(tile: u32, channel: u32, r: u32, begins: bool, ends: bool) -> Pair {
    let found = place(tile, channel);
    // The row above the image wraps around to a large number, so one comparison finds both sides.
    if (found.y + r - 1u >= p.h) {
        return Pair(array<vec4<f32>, 2>(), 0.0, 0.0);
    }
    let y = found.row + r - 1u;
    let at = found.column / 2u;
    var left = 0.0;
    var right = 0.0;
    if (EDGES == 1u) {
        if (begins && found.column > 0u) {
            left = eight(y, at - 1u)[1].w;
        }
        if (ends && found.column + 2u < p.tiles_x) {
            right = eight(y, at + 1u)[0].x;
        }
    }
    return Pair(eight(y, at), left, right);
}

// A row of an image of 4 × 4 pixels, half of what is loaded at once.
fn image_row(image: u32, channel: u32, r: u32) -> vec4<f32> {
    if (image >= p.images || channel >= p.channels) {
        return vec4<f32>();
    }
    let rows = eight((image * p.channels + channel) * 2u + r / 2u, 0u);
    return select(rows[0], rows[1], r % 2u == 1u);
}

// Row r of the windows of a quad, transformed along the row.
fn row(tile: u32, channel: u32, r: u32, seen: ptr<function, Blocks>) -> Six {
    var t: Four; // the four pixels of each tile
    var left: vec4<f32>;
    var right: vec4<f32>;
    if (RUN == 1u) {
        if (r > 0u && r < 5u) {
            t = Four(
                image_row(tile, channel, r - 1u), image_row(tile + 1u, channel, r - 1u),
                image_row(tile + 2u, channel, r - 1u), image_row(tile + 3u, channel, r - 1u));
        }
    } else {
        let a = load(tile, channel, r, true, RUN == 2u);
        let b = load(tile + 2u, channel, r, RUN == 2u, true);
        t = Four(a.pixels[0], a.pixels[1], b.pixels[0], b.pixels[1]);
        left = vec4<f32>(a.left, t[0].w, b.left, t[2].w);
        right = vec4<f32>(t[1].x, a.right, t[3].x, b.right);
        if (RUN == 4u) {
            left.z = t[1].w;
            right.y = t[2].x;
        }
    }
    let six = Six(
        left,
        vec4<f32>(t[0].x, t[1].x, t[2].x, t[3].x), vec4<f32>(t[0].y, t[1].y, t[2].y, t[3].y),
        vec4<f32>(t[0].z, t[1].z, t[2].z, t[3].z), vec4<f32>(t[0].w, t[1].w, t[2].w, t[3].w),
        right);
    // The border of the window belongs to the tiles around.
    let border = vec4<f32>(select(1.0, 0.0, p.as_a == 1u));
    let inner = select(vec4<f32>(1.0), border, r == 0u || r == 5u);
    let block = select(0u, 2u, r > 2u);
    (*seen)[block] += inner * (border * abs(six[0]) + abs(six[1]) + abs(six[2]));
    (*seen)[block + 1u] += inner * (abs(six[3]) + abs(six[4]) + border * abs(six[5]));
    return transform_input(six);
}

// Row i of V's elements, from the transformed rows of the window.
fn combined(rows: array<Six, 6>, i: u32) -> Six {
    let k = input_row(i);
    var v: Six;
    for (var c = 0u; c < 6u; c++) {
        v[c] = k[0] * rows[0][c] + k[1] * rows[1][c] + k[2] * rows[2][c] + k[3] * rows[3][c] + k[4] * rows[4][c]
            + k[5] * rows[5][c];
    }
    return v;
}

@compute @workgroup_size(WORKGROUP)
fn winograd_input(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let t = thread_index(id, groups);
    let quads = (p.images * p.tiles_per_image + 3u) / 4u;
    let depth = (p.channels + 3u) / 4u * 4u;
    let channel = divide(t, quads);
    if (channel >= select(depth, p.channels, p.as_a == 1u)) {
        return;
    }
    let quad = t - channel * quads;
    // Panels of channels, a vec4 for each quad of tiles, or panels of quads, a vec4 for each channel.
    let as_a = p.as_a == 1u;
    let panel = select(p.panel / 4u, p.panel, as_a);
    let edge = select(quad, channel, as_a);
    let edges = select(quads, p.channels, as_a);
    let k_count = select(depth, quads, as_a);
    let in_panel = divide(edge, panel);
    var at = (in_panel * k_count + select(channel, quad, as_a)) * panel + edge - in_panel * panel;
    let step = divide(edges + panel - 1u, panel) * k_count * panel;
    // Written out, because the driver unrolls loops only up to some 800 instructions.
    let tile = quad * 4u;
    var seen: Blocks;
    let rows = array<Six, 6>(
        row(tile, channel, 0u, &seen), row(tile, channel, 1u, &seen), row(tile, channel, 2u, &seen),
        row(tile, channel, 3u, &seen), row(tile, channel, 4u, &seen), row(tile, channel, 5u, &seen));
    if (channel < p.channels) {
        let at = (p.group_base + quad) * p.channels + channel;
        if (p.as_a == 1u) {
            summary[at] = peak_and_rest(seen);
        } else {
            let words = array<vec4<u32>, 2>(pair(seen[0], seen[1]), pair(seen[2], seen[3]));
            for (var i = 0u; i < p.edge + 2u; i++) {
                summary[at * 8u + i] = words[i / 4u][i % 4u];
            }
        }
    }
    for (var i = 0u; i < p.edge; i++) {
        store_row(combined(rows, i), at, step);
        at += 6u * step;
    }
}
