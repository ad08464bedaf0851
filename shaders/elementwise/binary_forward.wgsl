// Elementwise y = f(a, b) for tensors of one shape; f stands in binary/<op>.wgsl.
// a, b, y: n4 vec4. One invocation a vec4. Aliases: X, the vec4 as it is stored; C, what is computed with: f32 or i32.
// Uses: index.
struct Params { first_group: u32, n4: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<X>;
@group(0) @binding(2) var<storage, read> b: array<X>;
@group(0) @binding(3) var<storage, read_write> y: array<X>;

@compute @workgroup_size(WORKGROUP)
fn binary_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i >= p.n4 {
        return;
    }
    y[i] = X(f(vec4<C>(a[i]), vec4<C>(b[i])));
}
