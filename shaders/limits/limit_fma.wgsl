// How fast the adapter multiplies and adds: twelve chains of a = a · m + c in registers, an invocation.
//   y: one vec4 an invocation, so that nothing is optimised away. ITERATIONS loop iterations of 8 × 12 multiply-adds.
// Twelve chains hide the latency of an operation, and with m and c they fit sixteen registers.
// Uses: index.
struct Params { first_group: u32, m: f32, c: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    let m = vec4(p.m);
    let c = vec4(p.c);
    var a = array(vec4(f32(i)), vec4(f32(i) + 0.5), vec4(f32(i) + 0.75));
    for (var iteration = 0u; iteration < ITERATIONS; iteration++) {
        for (var unrolled = 0u; unrolled < 8u; unrolled++) {
            a[0] = fma(a[0], m, c);
            a[1] = fma(a[1], m, c);
            a[2] = fma(a[2], m, c);
        }
    }
    y[i] = a[0] + a[1] + a[2];
}
