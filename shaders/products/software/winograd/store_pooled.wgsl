// How winograd_output stores pixels that are pooled, behind a ReLU if activate is 1: y[image][channel][y / 2][x / 2], the
// maxima of the four 2 × 2 windows of two tiles that lie side by side, and to mask_out which pixels they are
// (pool_windows.wgsl).
// h is even, w a multiple of 8.
// Uses: images/pool_windows, winograd_tile.
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> mask_out: array<u32>;

fn store_quad(pixels: Square, tile: u32, channel: u32) {
    // The windows of a quad's tiles, by their place in the tile.
    var windows: array<array<Pooled, 2>, 2>;
    for (var r = 0u; r < 2u; r++) {
        for (var c = 0u; c < 2u; c++) {
            windows[r][c] = pool(Pixels(
                pixels[2u * r][2u * c], pixels[2u * r][2u * c + 1u],
                pixels[2u * r + 1u][2u * c], pixels[2u * r + 1u][2u * c + 1u]), p.activate == 1u);
        }
    }
    for (var t = 0u; t < p.edge - 2u; t += 2u) {
        let found = place(tile + t, channel);
        for (var r = 0u; r < 2u; r++) {
            if (found.y + 2u * r < p.h) {
                let i = ((found.row / 2u + r) * p.tiles_x + found.column) / 2u;
                let left = windows[r][0];
                let right = windows[r][1];
                y[i] = vec4<f32>(left.best[t], right.best[t], left.best[t + 1u], right.best[t + 1u]);
                mask_out[i] = mask_of(vec4<u32>(
                    left.winner[t], right.winner[t], left.winner[t + 1u], right.winner[t + 1u]));
            }
        }
    }
}
