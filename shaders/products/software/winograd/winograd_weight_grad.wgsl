// The transpose of Winograd's filter transform: dw = Gᵀ S G, where S sums the products of all tiles.
//   dw[oc][ic][r][c] = (Gᵀ S G)[r][c], S = the sum over parts of s[part], in order
// s: [parts, 36, c_in, n8], n8 = c_out rounded up to a multiple of 8; a part is some of the batch's images. dw:
// [c_out, c_in, 3, 3]. One invocation makes the filters of one input and four output channels, the four components of each vec4.
// Uses: divide, index, winograd.
struct Params { first_group: u32, parts: u32, c_in: u32, c_out: u32, edge: u32 } // edge: 6
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> s: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dw: array<f32>;

// A row of S's six elements, summed over the parts in order. part: from part to part.
fn row(first: u32, step: u32, part: u32) -> Six {
    var sum: Six;
    var at = first;
    for (var i = 0u; i < p.parts; i++) {
        for (var c = 0u; c < 6u; c++) {
            sum[c] += s[at + c * step];
        }
        at += part;
    }
    return sum;
}

@compute @workgroup_size(WORKGROUP)
fn winograd_weight_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    let quads = (p.c_out + 7u) / 8u * 2u;
    let ic = divide(i, quads);
    if (ic >= p.c_in) {
        return;
    }
    let oc = (i - ic * quads) * 4u;
    if (oc >= p.c_out) {
        return;
    }
    let step = p.c_in * quads;
    var filters: array<array<vec4<f32>, 3>, 3>;
    for (var r = 0u; r < p.edge; r++) {
        let u = transform_weight_grad(row(i + r * 6u * step, step, 36u * step));
        let k = weight_row(r);
        for (var q = 0u; q < 3u; q++) {
            for (var c = 0u; c < 3u; c++) {
                filters[q][c] += k[q] * u[c];
            }
        }
    }
    for (var j = 0u; j < min(4u, p.c_out - oc); j++) {
        let at = ((oc + j) * p.c_in + ic) * 9u;
        for (var q = 0u; q < 3u; q++) {
            for (var c = 0u; c < 3u; c++) {
                dw[at + q * 3u + c] = filters[q][c][j];
            }
        }
    }
}
