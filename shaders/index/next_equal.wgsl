// Chains of equal indices, so that a sum over them has one writer: next[t] is the next place along the axis with the index of
// t, or `m` if there is none. at, next: [outer, m, inner], `total` in all. One invocation a place.
// Uses: divide, index.
struct Params { first_group: u32, total: u32, m: u32, inner: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> at: array<i32>;
@group(0) @binding(2) var<storage, read_write> next: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn next_equal(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let t = thread_index(id, groups);
    if t >= p.total {
        return;
    }
    let line = divide(t, p.inner);
    let start = divide(line, p.m) * p.m;
    let i = t - line * p.inner;
    var k = line - start + 1u;
    while k < p.m && at[(start + k) * p.inner + i] != at[t] {
        k++;
    }
    next[t] = k;
}
