// Stochastic gradient descent of one parameter, PyTorch's formula:
//   g += decay·w;  v = momentum·v + g (v = 0 before the first step);  w -= lr·(nesterov ? g + momentum·v : v)
// w, velocity: n values of the flat buffers, and padding that stays 0; grad: n values. One invocation a vec4.
// Uses: index.
struct Params { first_group: u32, n: u32, lr: f32, momentum: f32, decay: f32, nesterov: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> velocity: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn sgd(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i * 4u >= p.n {
        return;
    }
    let there = i * 4u + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.n);
    let before = w[i];
    let g = select(vec4<f32>(), grad[i], there) + p.decay * before;
    let v = p.momentum * velocity[i] + g;
    velocity[i] = v;
    w[i] = before - p.lr * select(v, g + p.momentum * v, p.nesterov != 0u);
}
