// Operands of conv2d's weight gradient as a matrix product, one batch for each group.
//   dw[oc][ci][kh][kw] = sum over image, oy, ox of x[image][ci][iy][ix] * dy[image][oc][oy][ox]
//   iy = oy * STRIDE_H - PAD_H + kh * DILATION_H, ix likewise, zero outside of the image
// Rows are (ci, kh, kw), k = (image, oy, ox), columns are the group's output channels: the product is dw transposed,
// which the output's layout undoes (c_row = 1, c_col = m).
// x: [images, groups * c_in, H, W], dy: [images, groups * c_out, OH, OW]; c_in and c_out count one group's channels.
// A place is (offset, iy, ix), the sum of a row's or column's part and k's: see operands/matmul.wgsl. Rows above and columns
// left of the image wrap around to large numbers, so one comparison finds both sides.
// Aliases and constants: as for operands/conv2d_forward.wgsl. Parameters: a_outer and b_outer (from image to image), a_batch
// and b_batch.
@group(0) @binding(1) var<storage, read> x: array<ElementA>;
@group(0) @binding(2) var<storage, read> dy: array<ElementB>;

// 16 k from a multiple of 16 on stay in one row of pixels, or at least in one image.
const A_LINEAR = OW % 16u == 0u;
const B_LINEAR = OH * OW % 16u == 0u;
const A_ALONG_K = false;
const B_ALONG_K = B_LINEAR;

fn a_row(group: u32, row: u32) -> vec3<u32> {
    let tap = row % (KH * KW);
    let iy = tap / KW * DILATION_H - PAD_H;
    let ix = tap % KW * DILATION_W - PAD_W;
    return vec3<u32>(group * p.a_batch + row / (KH * KW) * (H * W) + iy * W + ix, iy, ix);
}

fn a_step(k: u32) -> vec3<u32> {
    let pixel = k % (OH * OW);
    let iy = pixel / OW * STRIDE_H;
    let ix = pixel % OW * STRIDE_W;
    return vec3<u32>(k / (OH * OW) * p.a_outer + iy * W + ix, iy, ix);
}

fn a_at(place: vec3<u32>) -> f32 {
    let inside = place.y < H && place.z < W;
    // Without a branch, which would keep a GPU from loading several at a time.
    return select(0.0, f32(x[select(0u, place.x, inside)]), inside);
}

fn b_col(group: u32, col: u32) -> vec3<u32> {
    return vec3<u32>(group * p.b_batch + col * (OH * OW), 0u, 0u);
}

fn b_step(k: u32) -> vec3<u32> {
    return vec3<u32>(k / (OH * OW) * p.b_outer + k % (OH * OW), 0u, 0u);
}

fn b_at(place: vec3<u32>) -> f32 {
    return f32(dy[place.x]);
}
