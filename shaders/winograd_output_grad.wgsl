// The transpose of Winograd's output transform, packed for gemm_strips: D = A dy Aᵀ of every 4 × 4 tile of dy.
//   out[e][channel strip][tile][channel % strip], the operand B of the weight gradient, e = 0 … 35
// Rows of a tile past the image's last are zero, and so are tiles from the last to the next multiple of four. One
// invocation transforms a tile in four channels, the four components of each vec4.
// Needs winograd.wgsl, winograd_tile.wgsl and winograd_packed.wgsl.
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;

fn load(tile: Place, r: u32) -> vec4<f32> {
    if (tile.y + r >= p.h) {
        return vec4<f32>();
    }
    return dy[tile.at + r * p.across];
}

// Row r of the tile in four channels, transformed along the row.
fn row(tiles: array<Place, 4>, r: u32) -> Six {
    let a = load(tiles[0], r);
    let b = load(tiles[1], r);
    let c = load(tiles[2], r);
    let d = load(tiles[3], r);
    return transform_output_grad(Four(
        vec4<f32>(a.x, b.x, c.x, d.x), vec4<f32>(a.y, b.y, c.y, d.y),
        vec4<f32>(a.z, b.z, c.z, d.z), vec4<f32>(a.w, b.w, c.w, d.w)));
}

// Transforms column c of the rows and stores it.
fn column(rows: array<Six, 4>, c: u32, at: u32, step: u32) {
    store_column(transform_output_grad(Four(rows[0][c], rows[1][c], rows[2][c], rows[3][c])), c, at, step);
}

@compute @workgroup_size(WORKGROUP)
fn winograd_output_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    let channel_quads = (p.channels + 3u) / 4u;
    let tiles4 = (p.images * p.in_image + 3u) / 4u * 4u;
    let tile = i / channel_quads;
    if (tile >= tiles4) {
        return;
    }
    let channel = (i - tile * channel_quads) * 4u;
    let tiles = array<Place, 4>(
        place(tile, channel), place(tile, channel + 1u), place(tile, channel + 2u), place(tile, channel + 3u));
    let rows = array<Six, 4>(row(tiles, 0u), row(tiles, 1u), row(tiles, 2u), row(tiles, 3u));
    let at = (channel / p.strip * tiles4 + tile) * (p.strip / 4u) + channel % p.strip / 4u;
    let step = (p.channels + p.strip - 1u) / p.strip * tiles4 * (p.strip / 4u);
    // Written out, because the driver unrolls loops only up to some 800 instructions.
    column(rows, 0u, at, step);
    column(rows, 1u, at, step);
    column(rows, 2u, at, step);
    column(rows, 3u, at, step);
    column(rows, 4u, at, step);
    column(rows, 5u, at, step);
}
