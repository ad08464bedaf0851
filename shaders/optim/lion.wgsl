// Lion (Chen et al. 2023):
//   c = β1·m + (1 - β1)·g;  w = shrink·w - lr·sign c;  m = β2·m + (1 - β2)·g
// with shrink = 1 - lr·decay. A NaN stays one, which sign need not do.
// Uses: special.
struct Scalars { lr: f32, beta1: f32, beta2: f32, rest1: f32, rest2: f32, shrink: f32 }
@group(0) @binding(5) var<storage, read_write> exp_avg: array<vec4<f32>>;

fn update(i: u32, w: vec4<f32>, grad: vec4<f32>, s: Scalars) -> vec4<f32> {
    let m = exp_avg[i];
    let c = s.beta1 * m + s.rest1 * grad;
    exp_avg[i] = s.beta2 * m + s.rest2 * grad;
    return s.shrink * w - s.lr * select(sign(c), c, is_nan(c));
}
