// How winograd_output stores pixels of images of any width: y[image][channel][y][x], pixel by pixel up to the end of a row.
// Uses: products/epilogue, winograd_tile.
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn store_quad(pixels: Square, tile: u32, channel: u32) {
    for (var t = 0u; t < p.edge - 2u; t++) {
        let found = place(tile + t, channel);
        let first = found.column * 4u;
        for (var r = 0u; r < 4u; r++) {
            if (found.y + r < p.h && first < p.w) {
                let i = (found.row + r) * p.w + first;
                let row = pixels[r];
                // Where the row ends, its last pixel's residual is added to what is not stored.
                let last = i + min(p.w - 1u - first, 3u);
                let sums = vec4<f32>(
                    residual_added(row[0][t], i), residual_added(row[1][t], min(i + 1u, last)),
                    residual_added(row[2][t], min(i + 2u, last)), residual_added(row[3][t], last));
                let z = activated(sums);
                y[i] = z.x;
                if (first + 1u < p.w) {
                    y[i + 1u] = z.y;
                }
                if (first + 2u < p.w) {
                    y[i + 2u] = z.z;
                }
                if (first + 3u < p.w) {
                    y[i + 3u] = z.w;
                }
            }
        }
    }
}

fn residual_added(pixel: f32, i: u32) -> f32 {
    return with_residual(vec4<f32>(pixel), i).x;
}
