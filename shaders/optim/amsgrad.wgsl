// AMSGrad: Adam and AdamW (adam.wgsl), where the largest mean square so far stands for the mean square.
// Uses: special.
struct Scalars { beta1: f32, beta2: f32, rest1: f32, rest2: f32, eps: f32, rate: f32, root: f32, l2: f32, shrink: f32 }
@group(0) @binding(5) var<storage, read_write> exp_avg: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> exp_avg_sq: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> max_exp_avg_sq: array<vec4<f32>>;

fn update(i: u32, w: vec4<f32>, grad: vec4<f32>, s: Scalars) -> vec4<f32> {
    let g = grad + s.l2 * w;
    let mean = s.beta1 * exp_avg[i] + s.rest1 * g;
    let square = s.beta2 * exp_avg_sq[i] + s.rest2 * g * g;
    let most = larger(square, max_exp_avg_sq[i]);
    exp_avg[i] = mean;
    exp_avg_sq[i] = square;
    max_exp_avg_sq[i] = most;
    return s.shrink * w - s.rate * mean / (sqrt(most) / s.root + s.eps);
}
