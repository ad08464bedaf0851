// Elements picked along an axis: y[o][j][i] = x[o][index][i], where index is at[j] (SHARED = 1) or at[o][j][i].
// x: [outer, n, inner]; y: [outer, m, inner]; at: [m] or as y, i32. An index that is none of 0 to n - 1 reads nothing: its element
// of y is `nowhere`, the bits of a NaN for floats. One invocation an element of y, `total` in all.
// Aliases: E, the elements' type; N, f32 or i32, of which `nowhere` is one. Constant: SHARED.
// Uses: divide, index.
struct Params { first_group: u32, total: u32, n: u32, m: u32, inner: u32, nowhere: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<E>;
@group(0) @binding(2) var<storage, read> at: array<i32>;
@group(0) @binding(3) var<storage, read_write> y: array<E>;

@compute @workgroup_size(WORKGROUP)
fn gather(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let t = thread_index(id, groups);
    if t >= p.total {
        return;
    }
    let line = divide(t, p.inner); // o · m + j
    let o = divide(line, p.m);
    let j = line - o * p.m;
    var index = 0;
    if SHARED == 1u {
        index = at[j];
    } else {
        index = at[t];
    }
    if index < 0 || u32(index) >= p.n {
        y[t] = E(bitcast<N>(p.nowhere));
    } else {
        y[t] = x[(o * p.n + u32(index)) * p.inner + t - line * p.inner];
    }
}
