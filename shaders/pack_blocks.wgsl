// Packs a matrix into strips for gemm_strips in blocks of 4 × 4: the fast way where its rows hold whole vec4.
//   source(batch, line, k) = source[batch * S_BATCH + line * S_LINE + k / PLANE * S_PLANE + k % PLANE * S_K]
//   AS_A 1: out[batch][strip][k / 4][line % STRIP][k % 4], lines are rows of A; as pack_a
//   AS_A 0: out[batch][strip][k][line % STRIP], lines are columns of B; as pack_b
// One invocation loads four vec4, transposes them where the packed order is the other one, and stores four vec4.
// Header: Element (f32, f16), BATCHES, LINES, K, STRIP (ROWS or COLS), AS_A, ALONG_K (1: S_K is 1, 0: S_LINE is 1), the five strides. The axis
// with stride 1 has a size, and PLANE for k, divisible by 4, as are all other strides. Lines past the last are left as
// they were: they only reach outputs that are not stored. k past the last is zero.
struct Params { first_group: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> source: array<vec4<Element>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

const K_QUADS = (K + 3u) / 4u;
const LINE_QUADS = (LINES + 3u) / 4u;
const STRIPS = (LINES + STRIP - 1u) / STRIP;
const COUNT = BATCHES * LINE_QUADS * K_QUADS;

fn load(batch: u32, line: u32, k: u32) -> vec4<f32> {
    if (line >= LINES || k >= K) {
        return vec4<f32>();
    }
    return vec4<f32>(source[(batch * S_BATCH + line * S_LINE + k / PLANE * S_PLANE + k % PLANE * S_K) / 4u]);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (p.first_group + group.y * groups.x + group.x) * 64u + local;
    if (i >= COUNT) {
        return;
    }
    // Lines fastest within a strip, so that stores follow each other.
    let batch = i / (LINE_QUADS * K_QUADS);
    let line = i % LINE_QUADS * 4u;
    let k = i / LINE_QUADS % K_QUADS * 4u;
    // Rows of the block lie across the axis with stride 1.
    let next_k = 1u - ALONG_K;
    var block = mat4x4<f32>(
        load(batch, line, k),
        load(batch, line + ALONG_K, k + next_k),
        load(batch, line + ALONG_K * 2u, k + next_k * 2u),
        load(batch, line + ALONG_K * 3u, k + next_k * 3u));
    if (ALONG_K != AS_A) {
        block = transpose(block);
    }
    let strip = batch * STRIPS + line / STRIP;
    if (AS_A == 1u) {
        let at = (strip * K_QUADS + k / 4u) * STRIP + line % STRIP;
        for (var e = 0u; e < 4u; e++) {
            out[at + e] = block[e];
        }
    } else {
        let at = (strip * K_QUADS * 4u + k) * (STRIP / 4u) + line % STRIP / 4u;
        for (var e = 0u; e < 4u; e++) {
            out[at + e * (STRIP / 4u)] = block[e];
        }
    }
}
