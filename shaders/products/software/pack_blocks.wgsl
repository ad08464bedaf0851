// Packs a matrix into strips for gemm_strips in blocks of 4 × 4: the fast way where its rows hold whole vec4.
//   source(batch, line, k) = source[batch * s_batch + line * s_line + k / plane * s_plane + k % plane * s_k]
//   AS_A 1: out[batch][strip][k / 4][line % STRIP][k % 4], lines are rows of A; as pack_a
//   AS_A 0: out[batch][strip][k][line % STRIP], lines are columns of B; as pack_b
// One invocation loads four vec4, transposes them where the packed order is the other one, and stores four vec4.
// The axis with stride 1 has a size, and plane for k, divisible by 4, as are all other strides. Lines past the last are
// left as they were: they only reach outputs that are not stored. k past the last is zero.
// Alias: Element (f32, f16). Constants: STRIP (ROWS or COLS), AS_A, ALONG_K (1: s_k is 1, 0: s_line is 1). Sizes are parameters, so
// that a model has few of these kernels to compile.
// Uses: divide.
struct Params {
    first_group: u32,
    batches: u32, lines: u32, k: u32, // of source
    s_batch: u32, s_line: u32, s_k: u32, plane: u32, s_plane: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> source: array<vec4<Element>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

// Four elements along the axis with stride 1; zeros for a line or k past the last.
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
    let line_quads = (p.lines + 3u) / 4u;
    let k_quads = (p.k + 3u) / 4u;
    // Lines fastest within a strip, so that stores follow each other.
    let rest = divide(i, line_quads);
    let batch = divide(rest, k_quads);
    if (batch >= p.batches) {
        return;
    }
    let line = (i - rest * line_quads) * 4u;
    let k = (rest - batch * k_quads) * 4u;
    // Four k from a multiple of four on lie in one plane.
    let plane = divide(k, p.plane);
    let first = batch * p.s_batch + line * p.s_line + plane * p.s_plane + (k - plane * p.plane) * p.s_k;
    // Rows of the block lie across the axis with stride 1.
    let step = select(p.s_k, p.s_line, ALONG_K == 1u);
    let rows = select(p.k - k, p.lines - line, ALONG_K == 1u);
    var block = mat4x4<f32>(
        load(first, true), load(first + step, 1u < rows), load(first + 2u * step, 2u < rows),
        load(first + 3u * step, 3u < rows));
    if (ALONG_K != AS_A) {
        block = transpose(block);
    }
    let strip = batch * ((p.lines + STRIP - 1u) / STRIP) + line / STRIP;
    if (AS_A == 1u) {
        let at = (strip * k_quads + k / 4u) * STRIP + line % STRIP;
        for (var e = 0u; e < 4u; e++) {
            out[at + e] = block[e];
        }
    } else {
        let at = (strip * k_quads * 4u + k) * (STRIP / 4u) + line % STRIP / 4u;
        for (var e = 0u; e < 4u; e++) {
            out[at + e * (STRIP / 4u)] = block[e];
        }
    }
}
