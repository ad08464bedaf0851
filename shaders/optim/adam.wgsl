// Adam and AdamW of one parameter, PyTorch's formulas:
//   Adam: g += decay·w         AdamW: w -= lr·decay·w
//   m = β1·m + (1 - β1)·g;  v = β2·v + (1 - β2)·g²;  w -= step · m / (√v / root + eps)
// with step = lr / (1 - β1ᵗ) and root = √(1 - β2ᵗ), computed by the host in f64.
// w, m, v: n values of the flat buffers, and padding that stays 0; grad: n values. One invocation a vec4.
// Uses: index.
struct Params {
    first_group: u32,
    n: u32, beta1: f32, beta2: f32, rest1: f32, rest2: f32, eps: f32, step: f32, root: f32,
    l2: f32, shrink: f32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> v: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn adam(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i * 4u >= p.n {
        return;
    }
    let there = i * 4u + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.n);
    let before = w[i];
    let g = select(vec4<f32>(), grad[i], there) + p.l2 * before;
    let mean = p.beta1 * m[i] + p.rest1 * g;
    let square = p.beta2 * v[i] + p.rest2 * g * g;
    m[i] = mean;
    v[i] = square;
    w[i] = p.shrink * before - p.step * mean / (sqrt(square) / p.root + p.eps);
}
