// Packs operand B of any product into panels of COLS columns for gemm_panels.
//   out[batch][panel][k][c] = B(batch, k, panel * COLS + c), k up to a multiple of 4, zero past the last column and k
// One invocation makes one vec4, four columns at one k. Chosen: operands/*. Constant: COLS.
// pack_blocks and pack_image write the same several times faster where their conditions hold.
// Uses: divide.
struct Params {
    first_group: u32,
    matrices: u32, n: u32, k: u32, // of B
    // where the operands lie, see operands/*
    inner: u32,
    a_offset: u32, a_outer: u32, a_batch: u32, a_row: u32, a_k: u32,
    b_offset: u32, b_outer: u32, b_batch: u32, b_col: u32, b_k: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

const QUADS = COLS / 4u;

// The place is computed whether it is needed or not: so the driver does what is common to the four of an invocation once.
fn b_or_zero(batch: u32, k: u32, col: u32) -> f32 {
    let place = b_col(batch, col) + b_step(k);
    if (col >= p.n || k >= p.k) {
        return 0.0;
    }
    return b_at(place);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (p.first_group + group.y * groups.x + group.x) * 64u + local;
    let padded_k = (p.k + 3u) / 4u * 4u;
    let panels = (p.n + COLS - 1u) / COLS;
    let panel = divide(i / QUADS, padded_k); // counted over all matrices
    let batch = divide(panel, panels);
    if (batch >= p.matrices) {
        return;
    }
    let k = i / QUADS - panel * padded_k;
    let col = (panel - batch * panels) * COLS + i % QUADS * 4u;
    out[i] = vec4<f32>(
        b_or_zero(batch, k, col), b_or_zero(batch, k, col + 1u),
        b_or_zero(batch, k, col + 2u), b_or_zero(batch, k, col + 3u));
}
