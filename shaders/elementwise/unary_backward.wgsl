// Elementwise dx = dy · f': `gradient` stands in unary/<op>.wgsl and takes the input or the output of the forward pass,
// whichever the op keeps: it is bound as `saved`.
// saved, dy, dx: n4 vec4. One invocation a vec4. Alias: X, vec4<f32> or vec4<f16>.
// Uses: index.
struct Params { first_group: u32, n4: u32, a: f32, b: f32, c: f32, d: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> saved: array<X>;
@group(0) @binding(2) var<storage, read> dy: array<X>;
@group(0) @binding(3) var<storage, read_write> dx: array<X>;

@compute @workgroup_size(WORKGROUP)
fn unary_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i >= p.n4 {
        return;
    }
    dx[i] = X(gradient(vec4<f32>(saved[i]), vec4<f32>(dy[i])));
}
