// Elementwise y = f(x) for a contiguous x; f stands in unary/<op>.wgsl and may use p.a to p.d.
// x, y: n4 quads (the last may be partly padding). One invocation a quad.
// Aliases: X, Y, what a quad of x and of y is (a vec4, or u32 for four bytes); C, what is computed with: f32 or i32.
// load and store stand in load_quad.wgsl or load_bytes.wgsl, and store_quad.wgsl or store_bytes.wgsl.
// Uses: index.
struct Params { first_group: u32, n4: u32, a: f32, b: f32, c: f32, d: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(WORKGROUP)
fn unary_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i >= p.n4 {
        return;
    }
    y[i] = store(f(load(x[i])));
}
