// The transpose of Winograd's output transform, packed for gemm_panels: D = A dy Aᵀ of every 4 × 4 tile of dy.
//   out[e][channel panel][tile][channel % panel], the operand B of the weight gradient, e = 0 … 35
//   summary[tile][channel / 4], of four channels, for the guard (winograd_guard.wgsl)
// Rows of a tile past the image's last are zero, and so are tiles from the last to the next multiple of four. One
// invocation transforms a tile in four channels, the four components of each vec4. dy is read as x.
// Chosen: rows_vec4, or rows_even or rows_ragged where w is no multiple of 8.
// Uses: divide, index, winograd, winograd_packed, winograd_summary, winograd_tile.
@group(0) @binding(4) var<storage, read_write> summary: array<vec4<u32>>;

fn load(tile: Place, r: u32) -> vec4<f32> {
    if (tile.y + r >= p.h) {
        return vec4<f32>();
    }
    return four(tile.row + r, tile.column);
}

// Row r of the tile in four channels, transformed along the row.
fn row(tiles: array<Place, 4>, r: u32, seen: ptr<function, Blocks>) -> Six {
    let a = load(tiles[0], r);
    let b = load(tiles[1], r);
    let c = load(tiles[2], r);
    let d = load(tiles[3], r);
    let pixels = Four(
        vec4<f32>(a.x, b.x, c.x, d.x), vec4<f32>(a.y, b.y, c.y, d.y),
        vec4<f32>(a.z, b.z, c.z, d.z), vec4<f32>(a.w, b.w, c.w, d.w));
    let block = select(0u, 2u, r > 1u);
    (*seen)[block] += abs(pixels[0]) + abs(pixels[1]);
    (*seen)[block + 1u] += abs(pixels[2]) + abs(pixels[3]);
    return transform_output_grad(pixels);
}

// Row i of D's elements, from the transformed rows of the tile.
fn combined(rows: array<Six, 4>, i: u32) -> Six {
    let k = output_row(i);
    var d: Six;
    for (var c = 0u; c < 6u; c++) {
        d[c] = k[0] * rows[0][c] + k[1] * rows[1][c] + k[2] * rows[2][c] + k[3] * rows[3][c];
    }
    return d;
}

@compute @workgroup_size(WORKGROUP)
fn winograd_output_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let t = thread_index(id, groups);
    let channel_quads = (p.channels + 3u) / 4u;
    let tiles4 = (p.images * p.tiles_per_image + 3u) / 4u * 4u;
    let tile = divide(t, channel_quads);
    if (tile >= tiles4) {
        return;
    }
    let channel = (t - tile * channel_quads) * 4u;
    let tiles = array<Place, 4>(
        place(tile, channel), place(tile, channel + 1u), place(tile, channel + 2u), place(tile, channel + 3u));
    var seen: Blocks;
    let rows = array<Six, 4>(
        row(tiles, 0u, &seen), row(tiles, 1u, &seen), row(tiles, 2u, &seen), row(tiles, 3u, &seen));
    if (tile < p.images * p.tiles_per_image) {
        summary[(p.group_base + tile) * channel_quads + t - tile * channel_quads] = peaks_and_rests(seen);
    }
    let panel = divide(channel, p.panel);
    var at = (panel * tiles4 + tile) * (p.panel / 4u) + (channel - panel * p.panel) / 4u;
    let step = divide(p.channels + p.panel - 1u, p.panel) * tiles4 * (p.panel / 4u);
    for (var i = 0u; i < p.edge; i++) {
        store_row(combined(rows, i), at, step);
        at += 6u * step;
    }
}
