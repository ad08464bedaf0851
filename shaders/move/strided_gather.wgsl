// y[i] = x[OFFSET + Σ index_d(i) · STRIDES_d]: a permuted, sliced or expanded x made contiguous.
// The header gives RANK, DIMS of y, STRIDES into x (0 along an expanded axis); OFFSET is p.offset.
// One invocation an element of y.
struct Params { first_group: u32, n: u32, offset: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn strided_gather(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i < p.n {
        y[i] = x[strided(i)];
    }
}
