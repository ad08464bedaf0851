// The quads of a convolution that the guard found (winograd_guard.wgsl), and the channels whose filter it found, as direct sums:
//   flipped 0: pixel (y, x) of channel oc = f(bias[oc] + Σ over ic, ky, kx of w[oc][ic][ky][kx] · x[ic][y + ky - 1][x + kx - 1])
//   flipped 1: the input gradient, the same of w[ic][oc][2 - ky][2 - kx], ic being an output channel of the convolution
// option & 1: the bias is added; option & 2: f is ReLU. store_*.wgsl says how pixels are stored, over those that Winograd's
// output transform wrote. One invocation makes a quad of tiles of a channel, or has nothing to do.
// Needs winograd_tile.wgsl, winograd.wgsl (for its types), store_*.wgsl.
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>; // not read where option & 1 is 0
@group(0) @binding(5) var<storage, read> guard: array<vec2<u32>>;
@group(0) @binding(6) var<storage, read> guard_filter: array<vec2<u32>>;
@group(0) @binding(7) var<storage, read> w: array<f32>;

alias Square = array<Four, 4>;

// The pixel r rows and c columns from the upper left of a tile's window, 0 outside of the image.
fn pixel(tile: Place, channel: u32, r: u32, c: u32) -> f32 {
    // Above and left of the image these wrap around to large numbers.
    let row = tile.y + r - 1u;
    let column = tile.column * 4u + c - 1u;
    if (row >= p.h || column >= p.across * 4u) {
        return 0.0;
    }
    return x[((tile.image * p.depth + channel) * p.h + row) * p.across * 4u + column];
}

// Tap (ky, kx) of the filter from channel ic to channel oc.
fn tap(oc: u32, ic: u32, ky: u32, kx: u32) -> f32 {
    if (p.flipped == 1u) {
        return w[(ic * p.channels + oc) * 9u + (2u - ky) * 3u + 2u - kx];
    }
    return w[(oc * p.depth + ic) * 9u + ky * 3u + kx];
}

@compute @workgroup_size(WORKGROUP)
fn winograd_direct(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    let quads = (p.images * p.in_image + 3u) / 4u;
    let channel = divide(i, quads);
    let quad = i - channel * quads;
    if (channel >= p.channels || (guard[quad].x == 0u && guard_filter[channel].x == 0u)) {
        return;
    }
    let tile = quad * 4u;
    let tiles = array<Place, 4>(
        place(tile, channel), place(tile + 1u, channel), place(tile + 2u, channel), place(tile + 3u, channel));
    var added = 0.0;
    if ((p.option & 1u) != 0u) {
        added = bias[channel];
    }
    var pixels: Square;
    // Loops whose length the driver does not know: unrolled, they would take long to compile.
    for (var r = 0u; r < p.edge - 2u; r++) {
        var sum: Four;
        for (var ic = 0u; ic < p.depth; ic++) {
            for (var ky = 0u; ky < p.edge / 2u; ky++) {
                var line: Six;
                for (var c = 0u; c < 6u; c++) {
                    line[c] = vec4<f32>(
                        pixel(tiles[0], ic, r + ky, c), pixel(tiles[1], ic, r + ky, c),
                        pixel(tiles[2], ic, r + ky, c), pixel(tiles[3], ic, r + ky, c));
                }
                for (var kx = 0u; kx < 3u; kx++) {
                    let weight = tap(channel, ic, ky, kx);
                    for (var c = 0u; c < 4u; c++) {
                        sum[c] += weight * line[c + kx];
                    }
                }
            }
        }
        for (var c = 0u; c < 4u; c++) {
            pixels[r][c] = sum[c] + added;
        }
    }
    store_quad(pixels, tile, channel, (p.option & 2u) != 0u);
}
