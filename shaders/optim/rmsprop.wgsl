// RMSprop, PyTorch's formula:
//   g += decay·w;  v = α·v + (1 - α)·g²;  b = momentum·b + g / (√v + eps);  w -= lr·b
struct Scalars { lr: f32, alpha: f32, rest: f32, eps: f32, decay: f32, momentum: f32 }
@group(0) @binding(5) var<storage, read_write> square_avg: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> momentum_buffer: array<vec4<f32>>;

fn update(i: u32, w: vec4<f32>, grad: vec4<f32>, s: Scalars) -> vec4<f32> {
    let g = grad + s.decay * w;
    let v = s.alpha * square_avg[i] + s.rest * g * g;
    let b = s.momentum * momentum_buffer[i] + g / (sqrt(v) + s.eps);
    square_avg[i] = v;
    momentum_buffer[i] = b;
    return w - s.lr * b;
}
