// C = A · B from panels, for software adapters: register tiles, no barriers, no workgroup memory.
//   out[split][batch][row][col] = the epilogue of the sum over the split's k of a[batch][row][k] * b[batch][k][col]
// a: panels of ROWS rows, [batch][row panel][k / 4][ROWS][4], k padded with zeros to a multiple of 4.
// b: panels of COLS columns, eight columns of a row read at once, in eights of floats
//   B(batch, panel, k, c) = b[b_offset + batch * b_batch + panel * b_panel + k * b_k + c / 8]
// which holds of packed panels, [batch][col panel][k][COLS] with the same k, and of a tensor whose rows lie side by side.
// One workgroup of LANES invocations makes ROWS × COLS outputs; a lane has 8 columns of every row. On these adapters a load,
// and any touch of an accumulator, cost as much as several multiply-adds: so lanes share their rows (load_*.wgsl), and each
// accumulator is touched once for four k.
// Row panels change fastest in the grid, so that neighbouring workgroups read the same panel of b from the cache.
// Outputs that cannot be stored by eight columns go through a partial buffer and reduce_splits.
// Chosen: load_*, wide_* with subgroups, and what the epilogue chooses. Alias: Out, the output's element (f32, f16). Constants:
// LANES (the subgroup size), ROWS (32 or 16), COLS (8 * LANES).
// Uses: products/epilogue.
struct Params {
    first_group: u32,
    batches: u32, splits: u32, row_panels: u32, col_panels: u32, // grid: one workgroup for each combination
    m: u32, n: u32,               // n a multiple of 8
    k: u32, k_per_split: u32,     // multiples of 4; the last split may be shorter
    a_batch: u32,                 // panels of a from one batch to the next, 0 where all batches share them, as b_batch is
    b_offset: u32, b_batch: u32, b_panel: u32, b_k: u32,
    bias_of: u32, activate: u32,  // see epilogue.wgsl
    // out's layout, multiples of 8: split * c_split + batch * c_batch + row * c_row + col / plane * c_image + col % plane
    c_split: u32, c_batch: u32, c_row: u32, c_image: u32, plane: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<Out>>;

alias Tile = array<array<vec4<f32>, 2>, ROWS>;
alias Cols = array<array<vec4<f32>, 2>, 4>;

// Adds the products of rows 4q .. 4q + 3 with all columns at four k.
fn multiply(acc: ptr<function, Tile>, q: u32, rows: array<vec4<f32>, 4>, cols: Cols) {
    for (var e = 0u; e < 4u; e++) {
        for (var j = 0u; j < 2u; j++) {
            var sum = acc[q * 4u + e][j];
            for (var k = 0u; k < 4u; k++) {
                sum = fma(vec4<f32>(rows[e][k]), cols[k][j], sum);
            }
            acc[q * 4u + e][j] = sum;
        }
    }
}

// The biases of four rows, from the given one on; rows past the last, which are not stored, take any.
fn biases(batch: u32, row: u32) -> vec4<f32> {
    let first = batch * p.m;
    let last = p.m - 1u;
    return vec4<f32>(
        row_bias(first + min(row, last)), row_bias(first + min(row + 1u, last)),
        row_bias(first + min(row + 2u, last)), row_bias(first + min(row + 3u, last)));
}

// The e-th of four.
fn pick(e: u32, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) -> vec4<f32> {
    return select(select(a, b, e == 1u), select(c, d, e == 3u), e > 1u);
}

// Stores row 4q + e of the panel, where there is one. at: where the lane's eight columns stand in row e of the panel;
// stored: whether they exist; of_cols, of_rows: biases of the columns, and of the four rows from 4q on.
fn store(
    acc: ptr<function, Tile>, q: u32, e: u32, row: u32, at: u32, stored: bool, of_cols: array<vec4<f32>, 2>,
    of_rows: vec4<f32>,
) {
    if (stored && row + q * 4u + e < p.m) {
        let i = (at + q * 4u * p.c_row) / 4u;
        let r = q * 4u;
        let left = pick(e, acc[r][0], acc[r + 1u][0], acc[r + 2u][0], acc[r + 3u][0]) + (of_cols[0] + of_rows[e]);
        let right = pick(e, acc[r][1], acc[r + 1u][1], acc[r + 2u][1], acc[r + 3u][1]) + (of_cols[1] + of_rows[e]);
        out[i] = vec4<Out>(finished(left, i));
        out[i + 1u] = vec4<Out>(finished(right, i + 1u));
    }
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile = p.first_group + group.y * groups.x + group.x;
    if (tile >= p.batches * p.splits * p.row_panels * p.col_panels) {
        return;
    }
    let row_panel = tile % p.row_panels;
    let col_panel = tile / p.row_panels % p.col_panels;
    let split = tile / (p.row_panels * p.col_panels) % p.splits;
    let batch = tile / (p.row_panels * p.col_panels * p.splits);

    let k_begin = split * p.k_per_split;
    let k_end = min(k_begin + p.k_per_split, p.k);
    var a_at = ((batch * p.a_batch + row_panel) * p.k + k_begin) * (ROWS / 4u);
    // Columns past the last, which are not stored, are the last ones.
    let eight = min(lane, (p.n - col_panel * COLS) / 8u - 1u);
    var b_at = p.b_offset + batch * p.b_batch + col_panel * p.b_panel + k_begin * p.b_k + eight;
    var acc: Tile;
    for (var k = k_begin; k < k_end; k += 4u) {
        let own = own_rows(a_at, lane);
        let cols = Cols(
            own_cols(b_at), own_cols(b_at + p.b_k), own_cols(b_at + 2u * p.b_k), own_cols(b_at + 3u * p.b_k));
        // Written out, because the driver unrolls loops only up to some 800 instructions.
        multiply(&acc, 0u, rows_of(own, a_at, 0u), cols);
        multiply(&acc, 1u, rows_of(own, a_at, 1u), cols);
        multiply(&acc, 2u, rows_of(own, a_at, 2u), cols);
        multiply(&acc, 3u, rows_of(own, a_at, 3u), cols);
        if (ROWS > 16u) {
            multiply(&acc, 4u, rows_of(own, a_at, 4u), cols);
            multiply(&acc, 5u, rows_of(own, a_at, 5u), cols);
            multiply(&acc, 6u, rows_of(own, a_at, 6u), cols);
            multiply(&acc, 7u, rows_of(own, a_at, 7u), cols);
        }
        a_at += ROWS;
        b_at += 4u * p.b_k;
    }

    let row = row_panel * ROWS;
    let base = split * p.c_split + batch * p.c_batch + row * p.c_row;
    let own = own_biases(batch, row, lane);
    let col = col_panel * COLS + lane * 8u;
    let stored = col < p.n;
    let last = p.n - 1u;
    let of_cols = array<vec4<f32>, 2>(col_bias(col, last), col_bias(col + 4u, last));
    let place = base + col / p.plane * p.c_image + col % p.plane;
    // A loop that the driver does not unroll, since m is no constant: compiling 16 stores takes a third less than 64.
    for (var e = 0u; e < min(4u, p.m); e++) {
        let at = place + e * p.c_row;
        store(&acc, 0u, e, row, at, stored, of_cols, biases_of(own, batch, row, 0u));
        store(&acc, 1u, e, row, at, stored, of_cols, biases_of(own, batch, row, 1u));
        store(&acc, 2u, e, row, at, stored, of_cols, biases_of(own, batch, row, 2u));
        store(&acc, 3u, e, row, at, stored, of_cols, biases_of(own, batch, row, 3u));
        if (ROWS > 16u) {
            store(&acc, 4u, e, row, at, stored, of_cols, biases_of(own, batch, row, 4u));
            store(&acc, 5u, e, row, at, stored, of_cols, biases_of(own, batch, row, 5u));
            store(&acc, 6u, e, row, at, stored, of_cols, biases_of(own, batch, row, 6u));
            store(&acc, 7u, e, row, at, stored, of_cols, biases_of(own, batch, row, 7u));
        }
    }
}
