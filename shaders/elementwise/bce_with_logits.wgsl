// Binary cross-entropy of logits x against targets t in 0 … 1, elementwise:
//   loss = -t · ln σ(x) - (1 - t) · ln(1 - σ(x)) = max(x, 0) - x·t + ln(1 + e^-|x|),   dx = dy · (σ(x) - t)
// Both are made of parts that don't cancel: max(x, 0) - x·t is x · (1 - t) for x > 0, and σ(x) = 1 - σ(-x) there.
// x, t, y, dy, dx: n4 vec4. One invocation a vec4.
// Uses: index, logarithm, special.
struct Params { first_group: u32, n4: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> t: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> dx: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn bce_with_logits_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i >= p.n4 {
        return;
    }
    let v = x[i];
    let linear = select(-v * t[i], v * (1.0 - t[i]), v > vec4<f32>(0.0));
    y[i] = select(linear + ln_1p(exp(-abs(v))), v, is_nan(v));
}

@compute @workgroup_size(WORKGROUP)
fn bce_with_logits_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i >= p.n4 {
        return;
    }
    let v = x[i];
    let power = exp(-abs(v));
    let small = power / (1.0 + power); // σ(-|x|)
    let slope = select(small - t[i], (1.0 - t[i]) - small, v > vec4<f32>(0.0));
    dx[i] = dy[i] * select(slope, v, is_nan(v));
}
