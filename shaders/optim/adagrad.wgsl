// Adagrad, PyTorch's formula:
//   g += decay·w;  s += first + g²;  w -= rate · g / (√s + eps)
// with rate = lr / (1 + (t - 1)·lr_decay), and first the initial sum in a parameter's first step and 0 afterwards.
struct Scalars { rate: f32, eps: f32, decay: f32, first: f32 }
@group(0) @binding(5) var<storage, read_write> sum: array<vec4<f32>>;

fn update(i: u32, w: vec4<f32>, grad: vec4<f32>, s: Scalars) -> vec4<f32> {
    let g = grad + s.decay * w;
    let all = sum[i] + s.first + g * g;
    sum[i] = all;
    return w - s.rate * g / (sqrt(all) + s.eps);
}
