// Operands of conv2d's forward as a matrix product, one batch for each group.
//   y[image][oc][oy][ox] = sum over ci, kh, kw of w[oc][ci][kh][kw] * x[image][ci][iy][ix]
//   iy = oy * STRIDE_H - PAD_H + kh * DILATION_H, ix likewise, zero outside of the image
// Rows are the group's output channels, k = (ci, kh, kw), columns = (image, oy, ox).
// w: [groups * c_out, c_in, KH, KW], x: [images, groups * c_in, H, W]; c_in and c_out count one group's channels. So that layers
// of other channels share a kernel, these are not constants: p has how far groups, images and rows lie apart.
// A place is (offset, iy, ix), the sum of a row's or column's part and k's: see operands/matmul.wgsl. Rows above and columns
// left of the image wrap around to large numbers, so one comparison finds both sides.
// Aliases: ElementA, ElementB (f32, f16). Constants: H, W, OH, OW, KH, KW, STRIDE_*, PAD_*, DILATION_* (each _H and _W).
// Parameters: a_batch, a_row (c_in * KH * KW), b_outer (from image to image), b_batch.
@group(0) @binding(1) var<storage, read> w: array<ElementA>;
@group(0) @binding(2) var<storage, read> x: array<ElementB>;

const A_ALONG_K = true;
const B_ALONG_K = false;
const A_LINEAR = true;
const B_LINEAR = false;

fn a_row(group: u32, row: u32) -> vec3<u32> {
    return vec3<u32>(group * p.a_batch + row * p.a_row, 0u, 0u);
}

fn a_step(k: u32) -> vec3<u32> {
    return vec3<u32>(k, 0u, 0u);
}

fn a_at(place: vec3<u32>) -> f32 {
    return f32(w[place.x]);
}

fn b_col(group: u32, col: u32) -> vec3<u32> {
    let pixel = col % (OH * OW);
    let iy = pixel / OW * STRIDE_H - PAD_H;
    let ix = pixel % OW * STRIDE_W - PAD_W;
    return vec3<u32>(col / (OH * OW) * p.b_outer + group * p.b_batch + iy * W + ix, iy, ix);
}

fn b_step(k: u32) -> vec3<u32> {
    let tap = k % (KH * KW);
    let dy = tap / KW * DILATION_H;
    let dx = tap % KW * DILATION_W;
    return vec3<u32>(k / (KH * KW) * (H * W) + dy * W + dx, dy, dx);
}

fn b_at(place: vec3<u32>) -> f32 {
    let inside = place.y < H && place.z < W;
    // Without a branch, which would keep a GPU from loading several at a time.
    return select(0.0, f32(x[select(0u, place.x, inside)]), inside);
}
