// Operands of the matrix product C[batch] = A[batch] · B[batch], for pack_a, pack_b and gemm_tile.
//   A(batch, row, k) = a[a_offset + batch / inner * a_outer + batch % inner * a_batch + row * a_row + k * a_k]
//   B(batch, k, col) = b[b_offset + batch / inner * b_outer + batch % inner * b_batch + k * b_k + col * b_col]
// As every operand file, this one takes an element's place apart: a row of A or a column of B has one part, k the
// other, and *_at reads the element at their sum. A product's loop thus computes the first part once, and k's part, which
// is the same for all rows and columns, once for all of them. .x is the offset in memory; .y and .z are not used here.
// Strides are parameters, in elements: a transposed operand swaps its two, a batch stride of 0 shares one matrix, and two
// of them serve the heads of attention, which lie within the rows of a sequence.
// Aliases: ElementA, ElementB (f32, f16). Constants: A_UNIT, B_UNIT (1 where a_k, b_k is 1, so that neighbours are loaded
// together).
@group(0) @binding(1) var<storage, read> a: array<ElementA>;
@group(0) @binding(2) var<storage, read> b: array<ElementB>;

// Whether neighbours in memory are neighbours along k; gemm_tile deals its loads by it.
const A_ALONG_K = A_UNIT == 1u;
const B_ALONG_K = B_UNIT == 1u;
// Whether k's part adds up, at least within each 16 k from a multiple of 16 on: step(k + j) = step(k) + step(j).
const A_LINEAR = true;
const B_LINEAR = true;

fn matrix_a(batch: u32) -> u32 {
    let outer = batch / p.inner;
    return p.a_offset + outer * p.a_outer + (batch - outer * p.inner) * p.a_batch;
}

fn matrix_b(batch: u32) -> u32 {
    let outer = batch / p.inner;
    return p.b_offset + outer * p.b_outer + (batch - outer * p.inner) * p.b_batch;
}

fn a_row(batch: u32, row: u32) -> vec3<u32> {
    return vec3<u32>(matrix_a(batch) + row * p.a_row, 0u, 0u);
}

fn a_step(k: u32) -> vec3<u32> {
    return vec3<u32>(select(k * p.a_k, k, A_ALONG_K), 0u, 0u);
}

fn a_at(place: vec3<u32>) -> f32 {
    return f32(a[place.x]);
}

fn b_col(batch: u32, col: u32) -> vec3<u32> {
    return vec3<u32>(matrix_b(batch) + col * p.b_col, 0u, 0u);
}

fn b_step(k: u32) -> vec3<u32> {
    return vec3<u32>(select(k * p.b_k, k, B_ALONG_K), 0u, 0u);
}

fn b_at(place: vec3<u32>) -> f32 {
    return f32(b[place.x]);
}
