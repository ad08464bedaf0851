// C = A · B through tiles in workgroup memory, for real GPUs: an implicit GEMM, nothing is packed.
//   out[split][batch][row][col] = sum over the split's k of a_at(batch, row, k) * b_at(batch, k, col)
// One workgroup of 16 × 16 invocations makes TILE_M × TILE_N outputs. It steps through k in slices of TILE_K: the
// invocations copy the slices of A and B into workgroup memory, zero past the edges; then each adds ROW_QUADS ×
// COL_QUADS blocks of 4 × 4 products for each k, from one vec4 of A and one of B a block. Blocks of one invocation
// lie 64 rows and columns apart, so that neighbours read neighbouring vec4.
// Needs an operand file, store_*.wgsl, bias_*.wgsl, and a header with TILE_M, TILE_N (multiples of 64, together at most
// 256) and TILE_K (16).
struct Params {
    batches: u32, splits: u32, row_tiles: u32, col_tiles: u32, // grid: one workgroup for each combination
    m: u32, n: u32,   // n may exceed N in a partial product, whose padding is stored as zero
    k_per_split: u32, // a multiple of TILE_K; the last split may be shorter
    // out's layout: split * c_split + batch * c_batch + row * c_row + col / plane * c_image + col % plane * c_col
    c_split: u32, c_batch: u32, c_row: u32, c_image: u32, c_col: u32, plane: u32,
}
@group(0) @binding(0) var<uniform> p: Params;

const THREADS = 256u;
const ROW_QUADS = TILE_M / 64u;
const COL_QUADS = TILE_N / 64u;
// One unused vec4 a row spreads the rows over the memory's banks, where 16 KiB leave room for it.
const PAD = select(0u, 1u, (TILE_M + TILE_N) * TILE_K < 4096u);

// Four rows of A, or columns of B, side by side: a_slice[k][row / 4][row % 4].
var<workgroup> a_slice: array<array<vec4<f32>, TILE_M / 4u + PAD>, TILE_K>;
var<workgroup> b_slice: array<array<vec4<f32>, TILE_N / 4u + PAD>, TILE_K>;

fn a_or_zero(batch: u32, row: u32, k: u32, k_end: u32) -> f32 {
    if (row >= M || k >= k_end) {
        return 0.0;
    }
    return a_at(batch, row, k);
}

fn b_or_zero(batch: u32, k: u32, k_end: u32, col: u32) -> f32 {
    if (col >= N || k >= k_end) {
        return 0.0;
    }
    return b_at(batch, k, col);
}

// Splits 0 .. quads * TILE_K into (quad, k). Neighbouring invocations walk along the axis that is contiguous in memory.
fn quad_and_k(i: u32, quads: u32, along_k: bool) -> vec2<u32> {
    return select(vec2<u32>(i % quads, i / quads), vec2<u32>(i / TILE_K, i % TILE_K), along_k);
}

fn load_slices(batch: u32, row: u32, col: u32, k: u32, k_end: u32, thread: u32) {
    for (var s = 0u; s < TILE_M / 4u * TILE_K; s += THREADS) {
        let at = quad_and_k(s + thread, TILE_M / 4u, A_ALONG_K);
        let r = row + at.x * 4u;
        let from_k = k + at.y;
        a_slice[at.y][at.x] = vec4<f32>(
            a_or_zero(batch, r, from_k, k_end), a_or_zero(batch, r + 1u, from_k, k_end),
            a_or_zero(batch, r + 2u, from_k, k_end), a_or_zero(batch, r + 3u, from_k, k_end));
    }
    for (var s = 0u; s < TILE_N / 4u * TILE_K; s += THREADS) {
        let at = quad_and_k(s + thread, TILE_N / 4u, B_ALONG_K);
        let c = col + at.x * 4u;
        let from_k = k + at.y;
        b_slice[at.y][at.x] = vec4<f32>(
            b_or_zero(batch, from_k, k_end, c), b_or_zero(batch, from_k, k_end, c + 1u),
            b_or_zero(batch, from_k, k_end, c + 2u), b_or_zero(batch, from_k, k_end, c + 3u));
    }
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let tile = group.y * groups.x + group.x;
    if (tile >= p.batches * p.splits * p.row_tiles * p.col_tiles) {
        return;
    }
    let row = tile % p.row_tiles * TILE_M;
    let col = tile / p.row_tiles % p.col_tiles * TILE_N;
    let split = tile / (p.row_tiles * p.col_tiles) % p.splits;
    let batch = tile / (p.row_tiles * p.col_tiles * p.splits);
    let k_begin = split * p.k_per_split;
    let k_end = min(k_begin + p.k_per_split, K);
    let tx = thread % 16u;
    let ty = thread / 16u;

    var acc: array<array<array<vec4<f32>, COL_QUADS>, 4>, ROW_QUADS>;
    for (var k0 = k_begin; k0 < k_end; k0 += TILE_K) {
        load_slices(batch, row, col, k0, k_end, thread);
        workgroupBarrier();
        for (var k = 0u; k < TILE_K; k++) {
            for (var i = 0u; i < ROW_QUADS; i++) {
                let rows = a_slice[k][ty + i * 16u];
                for (var j = 0u; j < COL_QUADS; j++) {
                    let cols = b_slice[k][tx + j * 16u];
                    for (var e = 0u; e < 4u; e++) {
                        acc[i][e][j] = fma(vec4<f32>(rows[e]), cols, acc[i][e][j]);
                    }
                }
            }
        }
        workgroupBarrier();
    }

    let base = split * p.c_split + batch * p.c_batch;
    for (var j = 0u; j < COL_QUADS; j++) {
        let out_col = col + (tx + j * 16u) * 4u;
        let place = place_of(out_col);
        for (var i = 0u; i < ROW_QUADS; i++) {
            for (var e = 0u; e < 4u; e++) {
                let out_row = row + (ty + i * 16u) * 4u + e;
                if (out_row < p.m) {
                    store(base + out_row * p.c_row, place, out_col, biased(acc[i][e][j], batch, out_row, out_col));
                }
            }
        }
    }
}
