// Packs a matrix into panels for gemm_panels in blocks of 4 × 4: the fast way where its rows hold whole vec4.
//   source(batch, row, k) =
//     source[offset + batch / inner * s_outer + batch % inner * s_batch + row * s_row + k / plane * s_plane + k % plane * s_k]
//   AS_A 1: out[batch][panel][k / 4][row % PANEL][k % 4], of rows of A; as pack_a
//   AS_A 0: out[batch][panel][k][row % PANEL], where a row is a column of B; as pack_b
// One invocation loads four vec4, transposes them where the packed order is the other one, and stores four vec4.
// The axis with stride 1 has a size, and plane for k, divisible by 4, as are all other strides. Rows past the last are
// left as they were: they only reach outputs that are not stored. k past the last is zero.
// Alias: Element (f32, f16). Constants: PANEL (ROWS or COLS), AS_A, ALONG_K (1: s_k is 1, 0: s_row is 1). Sizes are parameters,
// so that a model has few of these kernels to compile.
// Uses: divide.
struct Params {
    first_group: u32,
    batches: u32, inner: u32, rows: u32, k: u32, // of source
    offset: u32, s_outer: u32, s_batch: u32, s_row: u32, s_k: u32, plane: u32, s_plane: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> source: array<vec4<Element>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

// Four elements along the axis with stride 1; zeros for a row or k past the last.
fn load(at: u32, exists: bool) -> vec4<f32> {
    if (!exists) {
        return vec4<f32>();
    }
    return vec4<f32>(source[at / 4u]);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (p.first_group + group.y * groups.x + group.x) * 64u + local;
    let row_quads = (p.rows + 3u) / 4u;
    let k_quads = (p.k + 3u) / 4u;
    // Rows fastest within a panel, so that stores follow each other.
    let rest = divide(i, row_quads);
    let batch = divide(rest, k_quads);
    if (batch >= p.batches) {
        return;
    }
    let row = (i - rest * row_quads) * 4u;
    let k = (rest - batch * k_quads) * 4u;
    // Four k from a multiple of four on lie in one plane.
    let plane = divide(k, p.plane);
    let outer = divide(batch, p.inner);
    let matrix = p.offset + outer * p.s_outer + (batch - outer * p.inner) * p.s_batch;
    let first = matrix + row * p.s_row + plane * p.s_plane + (k - plane * p.plane) * p.s_k;
    // Rows of the block lie tiles_x the axis with stride 1.
    let step = select(p.s_k, p.s_row, ALONG_K == 1u);
    let left = select(p.k - k, p.rows - row, ALONG_K == 1u);
    var block = mat4x4<f32>(
        load(first, true), load(first + step, 1u < left), load(first + 2u * step, 2u < left),
        load(first + 3u * step, 3u < left));
    if (ALONG_K != AS_A) {
        block = transpose(block);
    }
    let panel = batch * ((p.rows + PANEL - 1u) / PANEL) + row / PANEL;
    if (AS_A == 1u) {
        let at = (panel * k_quads + k / 4u) * PANEL + row % PANEL;
        for (var e = 0u; e < 4u; e++) {
            out[at + e] = block[e];
        }
    } else {
        let at = (panel * k_quads * 4u + k) * (PANEL / 4u) + row % PANEL / 4u;
        for (var e = 0u; e < 4u; e++) {
            out[at + e * (PANEL / 4u)] = block[e];
        }
    }
}
