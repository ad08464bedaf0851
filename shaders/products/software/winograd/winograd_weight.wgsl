// Winograd's filter transform, packed for gemm_panels: U = G g Gᵀ of every 3 × 3 filter.
//   flipped 0: g[r][c] = w[row][k][r][c], for the forward pass: rows are output channels, k input channels
//   flipped 1: g[r][c] = w[k][row][2 - r][2 - c], for the input gradient: rows are input channels, k output channels
//   out[e][row panel][k / 4][row % panel][k % 4], the operand A, e = 0 … 35
// w: [C_out, C_in, 3, 3]. One invocation transforms four k of a row, the four components of each vec4; k from
// `depth` to the next multiple of four are zero.
//   summary[k / 4][row]: for the guard (winograd_guard.wgsl)
// Uses: divide, index, winograd, winograd_summary.
struct Params { first_group: u32, rows: u32, depth: u32, flipped: u32, panel: u32, edge: u32 } // depth: the number of k; panel: rows of one; edge: 6
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> summary: array<u32>;

// Tap (r, c) of the filters from row and k to k + 3.
fn taps(row: u32, k: u32, r: u32, c: u32) -> vec4<f32> {
    var first = (row * p.depth + k) * 9u + r * 3u + c;
    var step = 9u;
    if (p.flipped == 1u) {
        first = (k * p.rows + row) * 9u + (2u - r) * 3u + 2u - c;
        step = p.rows * 9u;
    }
    // A filter past the last is read as the last one, and then dropped.
    let last = p.depth - 1u - k;
    let there = vec4<u32>(0u, 1u, 2u, 3u) <= vec4<u32>(last);
    let at = first + min(vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(last)) * step;
    return select(vec4<f32>(), vec4<f32>(w[at.x], w[at.y], w[at.z], w[at.w]), there);
}

// Column c of the filters.
fn column(row: u32, k: u32, c: u32) -> array<vec4<f32>, 3> {
    return array<vec4<f32>, 3>(taps(row, k, 0u, c), taps(row, k, 1u, c), taps(row, k, 2u, c));
}

@compute @workgroup_size(WORKGROUP)
fn winograd_weight(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    let quads = (p.depth + 3u) / 4u;
    let row = divide(i, quads);
    if (row >= p.rows) {
        return;
    }
    let quad = i - row * quads;
    let left = column(row, quad * 4u, 0u);
    let middle = column(row, quad * 4u, 1u);
    let right = column(row, quad * 4u, 2u);
    var seen: Blocks;
    for (var r = 0u; r < 3u; r++) {
        seen[r] = abs(left[r]) + abs(middle[r]) + abs(right[r]);
    }
    summary[quad * p.rows + row] = peak_and_rest(seen);
    let panel = divide(row, p.panel);
    var at = (panel * quads + quad) * p.panel + row - panel * p.panel;
    let step = divide(p.rows + p.panel - 1u, p.panel) * quads * p.panel;
    for (var r = 0u; r < p.edge; r++) {
        let k = weight_row(r);
        let u = transform_weight(array<vec4<f32>, 3>(
            k[0] * left[0] + k[1] * left[1] + k[2] * left[2],
            k[0] * middle[0] + k[1] * middle[1] + k[2] * middle[2],
            k[0] * right[0] + k[1] * right[1] + k[2] * right[2]));
        for (var c = 0u; c < 6u; c++) {
            out[at + c * step] = u[c];
        }
        at += 6u * step;
    }
}
