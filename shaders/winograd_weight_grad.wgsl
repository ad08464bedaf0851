// The transpose of Winograd's filter transform: dw = Gᵀ S G, where S sums the products of all tiles.
//   dw[oc][ic][r][c] = (Gᵀ S G)[r][c], S = the sum over parts of s[part], in order
// s: [parts, 36, c_in, n8], n8 = c_out rounded up to a multiple of 8; a part is some of the batch's images. dw: [c_out, c_in, 3, 3]. One invocation makes the
// filters of one input and four output channels, the four components of each vec4.
struct Params { first_group: u32, parts: u32, c_in: u32, c_out: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> s: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dw: array<f32>;

fn row(at: u32, step: u32) -> Six {
    return Six(s[at], s[at + step], s[at + 2u * step], s[at + 3u * step], s[at + 4u * step], s[at + 5u * step]);
}

fn add(a: Six, b: Six) -> Six {
    return Six(a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4], a[5] + b[5]);
}

fn column(rows: array<Six, 6>, c: u32) -> array<vec4<f32>, 3> {
    return transform_weight_grad(Six(rows[0][c], rows[1][c], rows[2][c], rows[3][c], rows[4][c], rows[5][c]));
}

@compute @workgroup_size(WORKGROUP)
fn winograd_weight_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    let quads = (p.c_out + 7u) / 8u * 2u;
    let ic = i / quads;
    if (ic >= p.c_in) {
        return;
    }
    let oc = (i - ic * quads) * 4u;
    let step = p.c_in * quads;
    var rows: array<Six, 6>;
    for (var part = 0u; part < p.parts; part++) {
        let at = i + part * 36u * step;
        rows[0] = add(rows[0], row(at, step));
        rows[1] = add(rows[1], row(at + 6u * step, step));
        rows[2] = add(rows[2], row(at + 12u * step, step));
        rows[3] = add(rows[3], row(at + 18u * step, step));
        rows[4] = add(rows[4], row(at + 24u * step, step));
        rows[5] = add(rows[5], row(at + 30u * step, step));
    }
    let columns = array<array<vec4<f32>, 3>, 6>(
        column(rows, 0u), column(rows, 1u), column(rows, 2u), column(rows, 3u), column(rows, 4u), column(rows, 5u));
    for (var r = 0u; r < 3u; r++) {
        let g = transform_weight_grad(
            Six(columns[0][r], columns[1][r], columns[2][r], columns[3][r], columns[4][r], columns[5][r]));
        for (var c = 0u; c < 3u; c++) {
            for (var j = 0u; j < 4u; j++) {
                if (oc + j < p.c_out) {
                    dw[((oc + j) * p.c_in + ic) * 9u + r * 3u + c] = g[c][j];
                }
            }
        }
    }
}
