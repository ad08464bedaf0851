// Elementwise y = f(a, b) with NumPy broadcasting; f stands in binary/<op>.wgsl.
// The header gives RANK, DIMS of y and the strides A_STRIDES, B_STRIDES (0 along a broadcast axis).
// One invocation an element of y.
struct Params { first_group: u32, n: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn binary_broadcast(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i >= p.n {
        return;
    }
    var rest = i;
    var a_at = 0u;
    var b_at = 0u;
    for (var d = RANK; d > 0u; d--) {
        let index = rest % DIMS[d - 1u];
        rest /= DIMS[d - 1u];
        a_at += index * A_STRIDES[d - 1u];
        b_at += index * B_STRIDES[d - 1u];
    }
    y[i] = f(vec4<f32>(a[a_at]), vec4<f32>(b[b_at])).x;
}
