// Stochastic gradient descent, PyTorch's formula:
//   g += decay·w;  v = momentum·v + rest·g;  w -= lr·(nesterov ? g + momentum·v : v)
// with rest = 1 - dampening, but 1 in a parameter's first step, where v is 0.
struct Scalars { lr: f32, momentum: f32, rest: f32, decay: f32, nesterov: f32 }
@group(0) @binding(5) var<storage, read_write> momentum_buffer: array<vec4<f32>>;

fn update(i: u32, w: vec4<f32>, grad: vec4<f32>, s: Scalars) -> vec4<f32> {
    let g = grad + s.decay * w;
    let v = s.momentum * momentum_buffer[i] + s.rest * g;
    momentum_buffer[i] = v;
    return w - s.lr * select(v, g + s.momentum * v, s.nesterov != 0.0);
}
