// Operands of conv2d's input gradient as a matrix product, one batch for each group.
//   dx[image][ci][iy][ix] = sum over oc, kh, kw of w[oc][ci][kh][kw] * dy[image][oc][oy][ox]
//   where oy * STRIDE_H = iy + PAD_H - kh * DILATION_H, ox likewise; zero where no such output pixel exists
// Rows are the group's input channels, k = (oc, kh, kw), columns = (image, iy, ix).
// w: [GROUPS * C_OUT, C_IN, KH, KW], dy: [IMAGES, GROUPS * C_OUT, OH, OW]; C_IN and C_OUT count one group's channels.
// Header: as for conv2d_forward_operands.wgsl.
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;

const M = C_IN;
const N = IMAGES * H * W;
const K = C_OUT * KH * KW;
const A_BATCHES = GROUPS;
const B_BATCHES = GROUPS;

// Whether neighbours in memory are neighbours along k; gemm_tile deals its loads by it.
const A_ALONG_K = true;
const B_ALONG_K = false;

fn a_at(group: u32, row: u32, k: u32) -> f32 {
    let oc = group * C_OUT + k / (KH * KW);
    return w[(oc * C_IN + row) * (KH * KW) + k % (KH * KW)];
}

fn b_at(group: u32, k: u32, col: u32) -> f32 {
    let pixel = col % (H * W);
    let tap = k % (KH * KW);
    // A negative numerator wraps around to a large number, which the comparison below refuses.
    let y = pixel / W + PAD_H - tap / KW * DILATION_H;
    let x = pixel % W + PAD_W - tap % KW * DILATION_W;
    if (y % STRIDE_H != 0u || x % STRIDE_W != 0u || y / STRIDE_H >= OH || x / STRIDE_W >= OW) {
        return 0.0;
    }
    let plane = (col / (H * W) * GROUPS + group) * C_OUT + k / (KH * KW);
    return dy[(plane * OH + y / STRIDE_H) * OW + x / STRIDE_W];
}
