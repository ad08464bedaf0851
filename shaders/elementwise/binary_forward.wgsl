// Elementwise y = f(a, b) for tensors of one shape; f stands in binary/<op>.wgsl.
// a, b, y: n4 vec4. One invocation a vec4.
// Uses: index.
struct Params { first_group: u32, n4: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn binary_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i >= p.n4 {
        return;
    }
    y[i] = f(a[i], b[i]);
}
