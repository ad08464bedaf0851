// y[strided(i)] = x[i], or with ADD = 1 y[strided(i)] += x[i]: x written into a part of y, which no other invocation writes.
// One invocation an element of x, n in all. Alias: E, the elements' type.
// Uses: index, strided.
struct Params { first_group: u32, n: u32, offset: u32, axes: array<vec4<u32>, RANK> }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<E>;
@group(0) @binding(2) var<storage, read_write> y: array<E>;

@compute @workgroup_size(WORKGROUP)
fn strided_scatter(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i < p.n {
        let at = strided(i);
        if ADD == 1u {
            y[at] += x[i];
        } else {
            y[at] = x[i];
        }
    }
}
