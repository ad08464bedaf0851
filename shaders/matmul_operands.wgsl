// Operands of the matrix product C[batch] = A[batch] · B[batch], for pack_a, pack_b and gemm_tile.
//   a_at(batch, row, k) = a[batch * A_BATCH + row * A_ROW + k * A_K]
//   b_at(batch, k, col) = b[batch * B_BATCH + k * B_K + col * B_COL]
// Strides are in elements: a transposed operand swaps its two, a batch stride of 0 shares one matrix.
// Header: M, N, K, A_BATCHES, B_BATCHES (matrices that exist: 1 where shared), and the six strides.
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;

// Whether neighbours in memory are neighbours along k; gemm_tile deals its loads by it.
const A_ALONG_K = A_K == 1u;
const B_ALONG_K = B_K == 1u;

fn a_at(batch: u32, row: u32, k: u32) -> f32 {
    return a[batch * A_BATCH + row * A_ROW + k * A_K];
}

fn b_at(batch: u32, k: u32, col: u32) -> f32 {
    return b[batch * B_BATCH + k * B_K + col * B_COL];
}
