// How winograd_output stores pixels: y[image][channel][y][x], by four pixels of a row, w being a multiple of 4.
// Uses: products/epilogue, winograd_tile.
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

fn store_quad(pixels: Square, tile: u32, channel: u32) {
    for (var t = 0u; t < p.edge - 2u; t++) {
        let found = place(tile + t, channel);
        for (var r = 0u; r < 4u; r++) {
            if (found.y + r < p.h) {
                let i = (found.row + r) * p.tiles_x + found.column;
                y[i] = finished(vec4<f32>(pixels[r][0][t], pixels[r][1][t], pixels[r][2][t], pixels[r][3][t]), i);
            }
        }
    }
}
