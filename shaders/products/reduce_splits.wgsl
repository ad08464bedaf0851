// Sums the partial products that gemm_panels or gemm_tile made with splits > 1, and lays out the result.
//   out[batch][row][col] = the epilogue of the sum over split of partial[split][batch][row][col], splits in order
// partial: [splits, batches, m, padded], rows padded to a multiple of 4. One invocation makes four columns.
// Chosen: store_*, and what the epilogue chooses.
// Uses: epilogue.
struct Params {
    first_group: u32,
    batches: u32, splits: u32, m: u32, n: u32, padded: u32,
    bias_of: u32, activate: u32, // see epilogue.wgsl
    // out's layout: batch * c_batch + row * c_row + col / plane * c_image + col % plane * c_col
    c_batch: u32, c_row: u32, c_image: u32, c_col: u32, plane: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> partial: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (p.first_group + group.y * groups.x + group.x) * 64u + local;
    let quads = p.padded / 4u;
    let count = p.batches * p.m * quads;
    if (i >= count) {
        return;
    }
    var sum = partial[i];
    for (var split = 1u; split < p.splits; split++) {
        sum += partial[split * count + i];
    }
    let col = i % quads * 4u;
    let row = i / quads % p.m;
    let batch = i / (quads * p.m);
    let bias = col_bias(col, p.n - 1u) + row_bias(batch * p.m + row);
    store(batch * p.c_batch + row * p.c_row, place_of(col), col, sum + bias);
}
