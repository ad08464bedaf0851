// Operands of conv2d's weight gradient as a matrix product, one batch for each group.
//   dw[oc][ci][kh][kw] = sum over image, oy, ox of x[image][ci][iy][ix] * dy[image][oc][oy][ox]
//   iy = oy * STRIDE_H - PAD_H + kh * DILATION_H, ix likewise, zero outside of the image
// Rows are (ci, kh, kw), k = (image, oy, ox), columns are the group's output channels: the product is dw transposed,
// which the output's layout undoes (c_row = 1, c_col = M).
// x: [IMAGES, GROUPS * C_IN, H, W], dy: [IMAGES, GROUPS * C_OUT, OH, OW]; C_IN and C_OUT count one group's channels.
// Header: as for conv2d_forward_operands.wgsl.
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;

const M = C_IN * KH * KW;
const N = C_OUT;
const K = IMAGES * OH * OW;
const A_BATCHES = GROUPS;
const B_BATCHES = GROUPS;

// Whether neighbours in memory are neighbours along k; gemm_tile deals its loads by it.
const A_ALONG_K = true;
const B_ALONG_K = true;

fn a_at(group: u32, row: u32, k: u32) -> f32 {
    let pixel = k % (OH * OW);
    let tap = row % (KH * KW);
    // Rows above and columns left of the image wrap around to large numbers, so one comparison finds both sides.
    let iy = pixel / OW * STRIDE_H + tap / KW * DILATION_H - PAD_H;
    let ix = pixel % OW * STRIDE_W + tap % KW * DILATION_W - PAD_W;
    if (iy >= H || ix >= W) {
        return 0.0;
    }
    let plane = (k / (OH * OW) * GROUPS + group) * C_IN + row / (KH * KW);
    return x[(plane * H + iy) * W + ix];
}

fn b_at(group: u32, k: u32, col: u32) -> f32 {
    let plane = (k / (OH * OW) * GROUPS + group) * C_OUT + col;
    return dy[plane * (OH * OW) + k % (OH * OW)];
}
