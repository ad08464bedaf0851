// Packs operand A of any product into panels of ROWS rows for gemm_panels.
//   out[batch][panel][k / 4][r][k % 4] = A(batch, panel * ROWS + r, k), zero past the last row and the last k
// One invocation makes one vec4, one row at four k. Chosen: operands/*. Constant: ROWS.
// pack_blocks and pack_image write the same several times faster where their conditions hold.
// Uses: divide.
struct Params {
    first_group: u32,
    matrices: u32, m: u32, k: u32, // of A
    // where the operands lie, see operands/*
    inner: u32,
    a_offset: u32, a_outer: u32, a_batch: u32, a_row: u32, a_k: u32,
    b_offset: u32, b_outer: u32, b_batch: u32, b_col: u32, b_k: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

// The place is computed whether it is needed or not: so the driver does it once for the four of an invocation.
fn a_or_zero(batch: u32, row: u32, k: u32) -> f32 {
    let place = a_row(batch, row) + a_step(k);
    if (row >= p.m || k >= p.k) {
        return 0.0;
    }
    return a_at(place);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (p.first_group + group.y * groups.x + group.x) * 64u + local;
    let k_quads = (p.k + 3u) / 4u;
    let panels = (p.m + ROWS - 1u) / ROWS;
    let panel = divide(i / ROWS, k_quads); // counted over all matrices
    let batch = divide(panel, panels);
    if (batch >= p.matrices) {
        return;
    }
    let k = (i / ROWS - panel * k_quads) * 4u;
    let row = (panel - batch * panels) * ROWS + i % ROWS;
    out[i] = vec4<f32>(
        a_or_zero(batch, row, k), a_or_zero(batch, row, k + 1u),
        a_or_zero(batch, row, k + 2u), a_or_zero(batch, row, k + 3u));
}
