// Operands of conv2d's forward as a matrix product, one batch for each group.
//   y[image][oc][oy][ox] = sum over ci, kh, kw of w[oc][ci][kh][kw] * x[image][ci][iy][ix]
//   iy = oy * STRIDE_H - PAD_H + kh * DILATION_H, ix likewise, zero outside of the image
// Rows are the group's output channels, k = (ci, kh, kw), columns = (image, oy, ox).
// w: [GROUPS * C_OUT, C_IN, KH, KW], x: [IMAGES, GROUPS * C_IN, H, W]; C_IN and C_OUT count one group's channels.
// Header: IMAGES, GROUPS, C_IN, C_OUT, H, W, OH, OW, KH, KW, STRIDE_*, PAD_*, DILATION_* (each _H and _W).
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;

const M = C_OUT;
const N = IMAGES * OH * OW;
const K = C_IN * KH * KW;
const A_BATCHES = GROUPS;
const B_BATCHES = GROUPS;

// Whether neighbours in memory are neighbours along k; gemm_tile deals its loads by it.
const A_ALONG_K = true;
const B_ALONG_K = false;

fn a_at(group: u32, row: u32, k: u32) -> f32 {
    return w[(group * M + row) * K + k];
}

fn b_at(group: u32, k: u32, col: u32) -> f32 {
    let pixel = col % (OH * OW);
    let tap = k % (KH * KW);
    // Rows above and columns left of the image wrap around to large numbers, so one comparison finds both sides.
    let iy = pixel / OW * STRIDE_H + tap / KW * DILATION_H - PAD_H;
    let ix = pixel % OW * STRIDE_W + tap % KW * DILATION_W - PAD_W;
    if (iy >= H || ix >= W) {
        return 0.0;
    }
    let plane = (col / (OH * OW) * GROUPS + group) * C_IN + k / (KH * KW);
    return x[(plane * H + iy) * W + ix];
}
