// The quads of a convolution that the guard found (winograd_guard.wgsl), and the channels whose filter it found, as direct sums:
//   flipped 0: pixel (y, x) of channel oc = the epilogue of Σ over ic, ky, kx of w[oc][ic][ky][kx] · x[ic][y + ky - 1][x + kx - 1]
//   flipped 1: the input gradient, the same of w[ic][oc][2 - ky][2 - kx], ic being an output channel of the convolution
// They go over what Winograd's output transform wrote: winograd_direct over its pixels, winograd_direct_pooled over four pooled
// windows side by side and mask_out, which of their pixels won (pool_windows.wgsl).
// One invocation makes a row of a tile, or four windows, of `per` channels, or has nothing to do. That is rare, so the code is
// short rather than fast: the first step waits until it is compiled.
// Chosen: what the epilogue chooses; with pooling f is ReLU.
// Uses: divide, images/pool_windows, index, products/epilogue, winograd_odd, winograd_tile.
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> mask_out: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(9) var<storage, read> guard: array<Seen>;
@group(0) @binding(6) var<storage, read> guard_filter: array<Seen>;
@group(0) @binding(7) var<storage, read> w: array<f32>;
@group(0) @binding(8) var<storage, read> mean: array<f32>;

// A pixel with its bias.
fn pixel(image: u32, channel: u32, row: u32, column: u32) -> f32 {
    var sum = row_bias(channel);
    for (var ic = 0u; ic < p.depth; ic++) {
        for (var ky = 0u; ky < p.edge / 2u; ky++) {
            let source = row + ky - 1u; // above the image it wraps around to a large number
            if (source < p.h) {
                let at = ((image * p.depth + ic) * p.h + source) * p.w + column;
                let left = select(0.0, x[at - min(column, 1u)], column > 0u);
                let right = select(0.0, x[at + select(0u, 1u, column + 1u < p.w)], column + 1u < p.w);
                let plain = (channel * p.depth + ic) * 9u + ky * 3u;
                let flipped = (ic * p.channels + channel) * 9u + (2u - ky) * 3u;
                let tap = select(plain, flipped, p.flipped == 1u);
                let first = tap + p.flipped * 2u;
                let last = tap + 2u - p.flipped * 2u;
                sum += w[first] * left + w[tap + 1u] * x[at] + w[last] * right;
            }
        }
    }
    return sum;
}

fn is_found(tile: u32) -> bool {
    return is_odd_quad(guard[tile / 4u], mean[0], (p.images * p.tiles_per_image + 3u) / 4u);
}

@compute @workgroup_size(WORKGROUP)
fn winograd_direct(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    let rows = p.images * p.tiles_per_image * 4u;
    let first = divide(i, rows) * p.per;
    let tile = (i % rows) / 4u;
    if (first >= p.channels) {
        return;
    }
    let found = is_found(tile);
    let at = place(tile, 0u);
    let row = at.y + i % 4u;
    if ((!found && mean[1] == 0.0) || row >= p.h) {
        return;
    }
    for (var channel = first; channel < min(first + p.per, p.channels); channel++) {
        if (found || is_odd(guard_filter[channel])) {
            let to = ((at.image * p.channels + channel) * p.h + row) * p.w;
            for (var c = at.column * 4u; c < min(at.column * 4u + p.edge - 2u, p.w); c++) {
                y[to + c] = finished(vec4<f32>(pixel(at.image, channel, row, c)), to + c).x;
            }
        }
    }
}

@compute @workgroup_size(WORKGROUP)
fn winograd_direct_pooled(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    // Rows of windows, and fours in a row.
    let high = p.h / 2u;
    let wide = p.tiles_x / 2u;
    let fours = p.images * high * wide;
    let first = divide(i, fours) * p.per;
    let rest = i % fours;
    if (first >= p.channels) {
        return;
    }
    let image = rest / (high * wide);
    let row = rest / wide % high;
    let column = rest % wide;
    let tile = image * p.tiles_per_image + row / 2u * p.tiles_x + column * 2u;
    let found = is_found(tile) || is_found(tile + 1u);
    if (!found && mean[1] == 0.0) {
        return;
    }
    for (var channel = first; channel < min(first + p.per, p.channels); channel++) {
        if (found || is_odd(guard_filter[channel])) {
            var pixels: Pixels;
            for (var k = 0u; k < p.edge - 2u; k++) {
                for (var c = 0u; c < p.edge - 2u; c++) {
                    pixels[k][c] = pixel(image, channel, row * 2u + k / 2u, (column * 4u + c) * 2u + k % 2u);
                }
            }
            let four = pool(pixels, p.activate == 1u);
            let at = ((image * p.channels + channel) * high + row) * wide + column;
            for (var c = 0u; c < p.edge - 2u; c++) {
                y[at * 4u + c] = four.best[c];
            }
            mask_out[at] = mask_of(four.winner);
        }
    }
}
