// C = A · B through tiles in workgroup memory, for real GPUs: an implicit GEMM, nothing is packed.
//   out[split][batch][row][col] = sum over the split's k of A(batch, row, k) * B(batch, k, col)
// One workgroup makes TILE_M × TILE_N outputs, 8 × 8 an invocation: two quads of neighbouring rows times two of columns.
// It steps through k in slices of TILE_K. The invocations copy the slices of A and B into workgroup memory; then each
// multiplies, for each k, four vec4 that serve 64 multiply-adds: one byte for each, half of what GPUs read per clock.
// An invocation loads from rows of A and columns of B of its own, whose part of the address is computed before the loop.
// Those past the edge read the last one again, and are not stored; k past the end counts as zero.
// Chosen: operands/*, store_*, and what the epilogue chooses. Constants: TILE_M, TILE_N (64 or 128), TILE_K (16),
// WHOLE (1 where k is a multiple of TILE_K).
// Uses: epilogue.
struct Params {
    first_group: u32,
    batches: u32, splits: u32, row_tiles: u32, col_tiles: u32, // grid: one workgroup for each combination
    m: u32, n: u32,   // n may exceed columns in a partial product, whose padding nobody reads
    columns: u32, k: u32,
    k_per_split: u32, // a multiple of TILE_K; the last split may be shorter
    // out's layout: split * c_split + batch * c_batch + row * c_row + col / plane * c_image + col % plane * c_col
    c_split: u32, c_batch: u32, c_row: u32, c_image: u32, c_col: u32, plane: u32,
    bias_of: u32, activate: u32, // see epilogue.wgsl
    // where the operands lie, see operands/*
    inner: u32,
    a_offset: u32, a_outer: u32, a_batch: u32, a_row: u32, a_k: u32,
    b_offset: u32, b_outer: u32, b_batch: u32, b_col: u32, b_k: u32,
}
@group(0) @binding(0) var<uniform> p: Params;

const THREADS = TILE_M * TILE_N / 64u;
// Drivers unroll a loop of this many k; one of all TILE_K is too long for some of them.
const UNROLLED = 4u;

// The slice of a row or column is loaded by PARTS invocations, RUN neighbouring k each, and an invocation loads from A_ROWS rows
// and B_COLS columns. Neighbouring invocations share one where it is contiguous along k, else theirs are neighbours.
const A_PARTS = select((THREADS + TILE_M - 1u) / TILE_M, 4u, A_ALONG_K);
const B_PARTS = select((THREADS + TILE_N - 1u) / TILE_N, 4u, B_ALONG_K);
const A_RUN = TILE_K / A_PARTS;
const B_RUN = TILE_K / B_PARTS;
const A_ROWS = TILE_M * A_PARTS / THREADS;
const B_COLS = TILE_N * B_PARTS / THREADS;

// a_slice[k * A_STRIDE + row]. Four floats a row spread the rows over the memory's banks, where 16 KiB leave room for them.
const PAD = select(0u, 4u, (TILE_M + TILE_N) * TILE_K < 4096u);
const A_STRIDE = TILE_M + PAD;
const B_STRIDE = TILE_N + PAD;
var<workgroup> a_slice: array<f32, A_STRIDE * TILE_K>;
var<workgroup> b_slice: array<f32, B_STRIDE * TILE_K>;

// Where k + part * RUN lies, for a part of 0 or 1. Both places are the same for all invocations, so a GPU's scalar unit
// works them out, and to choose between them costs an invocation one `and` a component.
fn a_step_of(k: u32, part: u32) -> vec3<u32> {
    let step = a_step(k);
    if (A_LINEAR || A_PARTS == 1u) {
        return step;
    }
    return step + (vec3<u32>(0u - part) & (a_step(k + A_RUN) - step));
}

fn b_step_of(k: u32, part: u32) -> vec3<u32> {
    let step = b_step(k);
    if (B_LINEAR || B_PARTS == 1u) {
        return step;
    }
    return step + (vec3<u32>(0u - part) & (b_step(k + B_RUN) - step));
}

// A whole slice of the rows, or columns, of one invocation, from k on.
fn load_a(rows: array<vec3<u32>, A_ROWS>, part: u32, to: u32, k: u32) {
    for (var l = 0u; l < A_ROWS; l++) {
        let row = rows[l] + select(vec3<u32>(), a_step(part * A_RUN), A_LINEAR && A_PARTS > 1u);
        for (var s = 0u; s < A_RUN; s++) {
            a_slice[to + l * (THREADS / A_PARTS) + s * A_STRIDE] = a_at(row + a_step_of(k + s, part));
        }
    }
}

fn load_b(cols: array<vec3<u32>, B_COLS>, part: u32, to: u32, k: u32) {
    for (var l = 0u; l < B_COLS; l++) {
        let col = cols[l] + select(vec3<u32>(), b_step(part * B_RUN), B_LINEAR && B_PARTS > 1u);
        for (var s = 0u; s < B_RUN; s++) {
            b_slice[to + l * (THREADS / B_PARTS) + s * B_STRIDE] = b_at(col + b_step_of(k + s, part));
        }
    }
}

// The last slice, where k may end in the midst of it.
fn load_last_a(rows: array<vec3<u32>, A_ROWS>, part: u32, to: u32, k: u32) {
    for (var l = 0u; l < A_ROWS; l++) {
        for (var s = 0u; s < A_RUN; s++) {
            let at = k + part * A_RUN + s;
            let value = a_at(rows[l] + a_step(min(at, p.k - 1u)));
            a_slice[to + l * (THREADS / A_PARTS) + s * A_STRIDE] = select(0.0, value, at < p.k);
        }
    }
}

fn load_last_b(cols: array<vec3<u32>, B_COLS>, part: u32, to: u32, k: u32) {
    for (var l = 0u; l < B_COLS; l++) {
        for (var s = 0u; s < B_RUN; s++) {
            let at = k + part * B_RUN + s;
            let value = b_at(cols[l] + b_step(min(at, p.k - 1u)));
            b_slice[to + l * (THREADS / B_PARTS) + s * B_STRIDE] = select(0.0, value, at < p.k);
        }
    }
}

fn a_quad(i: u32) -> vec4<f32> {
    return vec4<f32>(a_slice[i], a_slice[i + 1u], a_slice[i + 2u], a_slice[i + 3u]);
}

fn b_quad(i: u32) -> vec4<f32> {
    return vec4<f32>(b_slice[i], b_slice[i + 1u], b_slice[i + 2u], b_slice[i + 3u]);
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let tile = p.first_group + group.y * groups.x + group.x;
    if (tile >= p.batches * p.splits * p.row_tiles * p.col_tiles) {
        return;
    }
    let row = tile % p.row_tiles * TILE_M;
    let col = tile / p.row_tiles % p.col_tiles * TILE_N;
    let split = tile / (p.row_tiles * p.col_tiles) % p.splits;
    let batch = tile / (p.row_tiles * p.col_tiles * p.splits);
    let k_begin = split * p.k_per_split;
    let k_end = min(k_begin + p.k_per_split, p.k);

    let a_part = select(thread / TILE_M, thread % A_PARTS, A_ALONG_K);
    let b_part = select(thread / TILE_N, thread % B_PARTS, B_ALONG_K);
    let a_first = select(thread % TILE_M, thread / A_PARTS, A_ALONG_K);
    let b_first = select(thread % TILE_N, thread / B_PARTS, B_ALONG_K);
    var a_rows: array<vec3<u32>, A_ROWS>;
    for (var l = 0u; l < A_ROWS; l++) {
        a_rows[l] = a_row(batch, min(row + a_first + l * (THREADS / A_PARTS), p.m - 1u));
    }
    var b_cols: array<vec3<u32>, B_COLS>;
    for (var l = 0u; l < B_COLS; l++) {
        b_cols[l] = b_col(batch, min(col + b_first + l * (THREADS / B_PARTS), p.columns - 1u));
    }
    let a_to = a_part * A_RUN * A_STRIDE + a_first;
    let b_to = b_part * B_RUN * B_STRIDE + b_first;
    // An invocation's first row and column in the tile; its second quads lie half a tile further on.
    let ty = thread / (TILE_N / 8u) * 4u;
    let tx = thread % (TILE_N / 8u) * 4u;

    var acc: array<array<vec4<f32>, 2>, 8>;
    for (var k0 = k_begin; k0 < k_end; k0 += TILE_K) {
        if (WHOLE == 1u || k0 + TILE_K <= p.k) {
            load_a(a_rows, a_part, a_to, k0);
            load_b(b_cols, b_part, b_to, k0);
        } else {
            load_last_a(a_rows, a_part, a_to, k0);
            load_last_b(b_cols, b_part, b_to, k0);
        }
        workgroupBarrier();
        for (var k = 0u; k < TILE_K; k += UNROLLED) {
            let a_from = k * A_STRIDE + ty;
            let b_from = k * B_STRIDE + tx;
            for (var u = 0u; u < UNROLLED; u++) {
                let cols = array<vec4<f32>, 2>(
                    b_quad(b_from + u * B_STRIDE), b_quad(b_from + u * B_STRIDE + TILE_N / 2u));
                for (var i = 0u; i < 2u; i++) {
                    let rows = a_quad(a_from + u * A_STRIDE + i * (TILE_M / 2u));
                    for (var e = 0u; e < 4u; e++) {
                        acc[i * 4u + e][0] = fma(vec4<f32>(rows[e]), cols[0], acc[i * 4u + e][0]);
                        acc[i * 4u + e][1] = fma(vec4<f32>(rows[e]), cols[1], acc[i * 4u + e][1]);
                    }
                }
            }
        }
        workgroupBarrier();
    }

    let base = split * p.c_split + batch * p.c_batch;
    for (var j = 0u; j < 2u; j++) {
        let out_col = col + tx + j * (TILE_N / 2u);
        let place = place_of(out_col);
        let of_cols = col_bias(out_col, p.n - 1u);
        for (var i = 0u; i < 8u; i++) {
            let out_row = row + ty + i / 4u * (TILE_M / 2u) + i % 4u;
            if (out_row < p.m) {
                let bias = of_cols + row_bias(batch * p.m + out_row);
                store(base + out_row * p.c_row, place, out_col, acc[i][j] + bias);
            }
        }
    }
}
