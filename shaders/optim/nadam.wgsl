// NAdam, PyTorch's formula:
//   g += l2·w, or w *= shrink;  m = β1·m + (1 - β1)·g;  v = β2·v + (1 - β2)·g²
//   w -= (of_grad·g + of_mean·m) / (√v / root + eps)
// with root = √(1 - β2ᵗ), and the two rates by the momentum's schedule, computed by the host in f64.
struct Scalars {
    beta1: f32, beta2: f32, rest1: f32, rest2: f32, eps: f32, root: f32, of_grad: f32, of_mean: f32, l2: f32, shrink: f32
}
@group(0) @binding(5) var<storage, read_write> exp_avg: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> exp_avg_sq: array<vec4<f32>>;

fn update(i: u32, w: vec4<f32>, grad: vec4<f32>, s: Scalars) -> vec4<f32> {
    let g = grad + s.l2 * w;
    let mean = s.beta1 * exp_avg[i] + s.rest1 * g;
    let square = s.beta2 * exp_avg_sq[i] + s.rest2 * g * g;
    exp_avg[i] = mean;
    exp_avg_sq[i] = square;
    return s.shrink * w - (s.of_grad * g + s.of_mean * mean) / (sqrt(square) / s.root + s.eps);
}
