// The gradient of gather.wgsl: dx[o][r][i] += Σ dy[o][j][i] over the places j whose index is r, in rising order.
// dx: [outer, n, inner]; dy: [outer, m, inner], `total` in all; at, next: [m] (SHARED = 1) or as dy (next_equal.wgsl).
// is_later: as next, 1 where an earlier place has the same index. One invocation an element of dy; that of the first place of each
// index adds up and writes. An index out of range is nowhere in x: it writes nothing.
// Uses: divide, index.
struct Params { first_group: u32, total: u32, n: u32, m: u32, inner: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> dy: array<E>;
@group(0) @binding(2) var<storage, read> at: array<i32>;
@group(0) @binding(3) var<storage, read> next: array<u32>;
@group(0) @binding(4) var<storage, read> is_later: array<u32>;
@group(0) @binding(5) var<storage, read_write> dx: array<E>;

@compute @workgroup_size(WORKGROUP)
fn gather_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let t = thread_index(id, groups);
    if t >= p.total {
        return;
    }
    let line = divide(t, p.inner);
    let o = divide(line, p.m);
    let i = t - line * p.inner;
    var place = t; // in at, next and is_later
    if SHARED == 1u {
        place = line - o * p.m;
    }
    let index = at[place];
    if is_later[place] == 1u || index < 0 || u32(index) >= p.n {
        return;
    }
    var sum = 0.0;
    var j = line - o * p.m;
    for (; j < p.m;) {
        let from_dy = (o * p.m + j) * p.inner + i;
        sum += f32(dy[from_dy]);
        if SHARED == 1u {
            j = next[j];
        } else {
            j = next[from_dy];
        }
    }
    let to = (o * p.n + u32(index)) * p.inner + i;
    dx[to] = E(f32(dx[to]) + sum);
}
