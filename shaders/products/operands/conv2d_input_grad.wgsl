// Operands of conv2d's input gradient as a matrix product, one batch for each group.
//   dx[image][ci][iy][ix] = sum over oc, kh, kw of w[oc][ci][kh][kw] * dy[image][oc][oy][ox]
//   where oy * STRIDE_H = iy + PAD_H - kh * DILATION_H, ox likewise; zero where no such output pixel exists
// Rows are the group's input channels, k = (oc, kh, kw), columns = (image, iy, ix).
// w: [groups * c_out, c_in, KH, KW], dy: [images, groups * c_out, OH, OW]; c_in and c_out count one group's channels.
// A place is (offset, oy * STRIDE_H, ox * STRIDE_W), the sum of a row's or column's part and k's: see operands/matmul.wgsl.
// What is negative wraps around to large numbers, which the comparisons refuse.
// Aliases and constants: as for operands/conv2d_forward.wgsl. Parameters: a_batch, a_k (c_in * KH * KW), b_outer (from image to
// image), b_batch.
@group(0) @binding(1) var<storage, read> w: array<ElementA>;
@group(0) @binding(2) var<storage, read> dy: array<ElementB>;

const A_ALONG_K = false;
const B_ALONG_K = false;
const A_LINEAR = false;
const B_LINEAR = false;
// With a stride of 1 every place lies on a pixel, and the offset holds rows and columns too.
const UNIT_STRIDE = STRIDE_H == 1u && STRIDE_W == 1u;

fn a_row(group: u32, row: u32) -> vec3<u32> {
    return vec3<u32>(group * p.a_batch + row * (KH * KW), 0u, 0u);
}

fn a_step(k: u32) -> vec3<u32> {
    return vec3<u32>(k / (KH * KW) * p.a_k + k % (KH * KW), 0u, 0u);
}

fn a_at(place: vec3<u32>) -> f32 {
    return f32(w[place.x]);
}

fn b_col(group: u32, col: u32) -> vec3<u32> {
    let pixel = col % (H * W);
    let y = pixel / W + PAD_H;
    let x = pixel % W + PAD_W;
    let image = col / (H * W) * p.b_outer + group * p.b_batch;
    return vec3<u32>(image + select(0u, y * OW + x, UNIT_STRIDE), y, x);
}

fn b_step(k: u32) -> vec3<u32> {
    let tap = k % (KH * KW);
    let y = tap / KW * DILATION_H;
    let x = tap % KW * DILATION_W;
    let offset = k / (KH * KW) * (OH * OW) - select(0u, y * OW + x, UNIT_STRIDE);
    return vec3<u32>(offset, 0u - y, 0u - x);
}

fn b_at(place: vec3<u32>) -> f32 {
    let y = place.y / STRIDE_H;
    let x = place.z / STRIDE_W;
    let inside = place.y % STRIDE_H == 0u && place.z % STRIDE_W == 0u && y < OH && x < OW;
    let offset = place.x + select(y * OW + x, 0u, UNIT_STRIDE);
    // Without a branch, which would keep a GPU from loading several at a time.
    return select(0.0, f32(dy[select(0u, offset, inside)]), inside);
}
