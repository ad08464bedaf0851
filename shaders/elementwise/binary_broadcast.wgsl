// Elementwise y = f(a, b) with NumPy broadcasting, for views too; f stands in binary/<op>.wgsl.
// axes: of each axis of y, from the last to the first, its size and the strides of a and b (0 along a broadcast axis).
// a_offset, b_offset: the first element of each. One invocation an element of y. Constant: RANK, the number of axes.
// Aliases: E, the elements as they are stored; C, what is computed with: f32 or i32.
// Uses: divide, index.
struct Params { first_group: u32, n: u32, a_offset: u32, b_offset: u32, axes: array<vec4<u32>, RANK> }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<E>;
@group(0) @binding(2) var<storage, read> b: array<E>;
@group(0) @binding(3) var<storage, read_write> y: array<E>;

@compute @workgroup_size(WORKGROUP)
fn binary_broadcast(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i >= p.n {
        return;
    }
    var rest = i;
    var a_at = p.a_offset;
    var b_at = p.b_offset;
    for (var d = 0u; d < RANK - 1u; d++) {
        let next = divide(rest, p.axes[d].x);
        let index = rest - next * p.axes[d].x;
        a_at += index * p.axes[d].y;
        b_at += index * p.axes[d].z;
        rest = next;
    }
    // What is left is the index along the first axis.
    a_at += rest * p.axes[RANK - 1u].y;
    b_at += rest * p.axes[RANK - 1u].z;
    y[i] = E(f(vec4<C>(C(a[a_at])), vec4<C>(C(b[b_at]))).x);
}
