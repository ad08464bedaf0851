// Marks the places that follow an equal one: is_later[the next place of t] = 1, for each place t that has one. is_later is 0
// before, and no two places have the same next one. next, is_later: [outer, m, inner], `total` in all. One invocation a place.
// Uses: divide, index.
struct Params { first_group: u32, total: u32, m: u32, inner: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> next: array<u32>;
@group(0) @binding(2) var<storage, read_write> is_later: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn mark_later(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let t = thread_index(id, groups);
    if t >= p.total || next[t] >= p.m {
        return;
    }
    let line = divide(t, p.inner);
    let start = divide(line, p.m) * p.m;
    is_later[(start + next[t]) * p.inner + t - line * p.inner] = 1u;
}
