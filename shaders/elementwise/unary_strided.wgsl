// As unary_forward.wgsl for an x that is a view: y[i] = f(x[strided(i)]), y contiguous. With unary/identity.wgsl it copies and
// converts. n: elements. One invocation a quad of y. Alias: E, the elements of x, or u32 for bytes.
// load_at stands in load_element.wgsl or load_byte.wgsl.
// Uses: index, strided.
struct Params { first_group: u32, n: u32, offset: u32, a: f32, b: f32, c: f32, d: f32, axes: array<vec4<u32>, RANK> }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<E>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(WORKGROUP)
fn unary_strided(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if 4u * i >= p.n {
        return;
    }
    var v = vec4<C>();
    for (var q = 0u; q < 4u; q++) {
        // What lies behind the last element is padding.
        v[q] = load_at(strided(min(4u * i + q, p.n - 1u)));
    }
    y[i] = store(f(v));
}
