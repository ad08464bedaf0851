// y[i] = x[offset + Σ index_d(i) · stride_d]: a permuted, sliced or expanded x made contiguous.
// One invocation an element of y; strided.wgsl has the parameters.
// Uses: index, strided.
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn strided_gather(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i < p.n {
        y[i] = x[strided(i)];
    }
}
