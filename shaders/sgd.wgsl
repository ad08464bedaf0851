// Stochastic gradient descent over a range of the flat parameter buffer, PyTorch's formula:
//   g += decay·w;  v = momentum·v + g (v = 0 before the first step);  w -= lr·(nesterov ? g + momentum·v : v)
// w, grad, velocity: n4 vec4 from `first`. One invocation a vec4.
struct Params { first_group: u32, first: u32, n4: u32, lr: f32, momentum: f32, decay: f32, nesterov: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> velocity: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn sgd(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let t = thread_index(id, groups);
    if t >= p.n4 {
        return;
    }
    let i = p.first + t;
    let g = grad[i] + p.decay * w[i];
    let v = p.momentum * velocity[i] + g;
    velocity[i] = v;
    w[i] -= p.lr * select(v, g + p.momentum * v, p.nesterov != 0u);
}
