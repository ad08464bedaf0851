// Adadelta, PyTorch's formula:
//   g += decay·w;  v = ρ·v + (1 - ρ)·g²;  d = √(a + eps) / √(v + eps) · g;  a = ρ·a + (1 - ρ)·d²;  w -= lr·d
struct Scalars { lr: f32, rho: f32, rest: f32, eps: f32, decay: f32 }
@group(0) @binding(5) var<storage, read_write> square_avg: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> acc_delta: array<vec4<f32>>;

fn update(i: u32, w: vec4<f32>, grad: vec4<f32>, s: Scalars) -> vec4<f32> {
    let g = grad + s.decay * w;
    let v = s.rho * square_avg[i] + s.rest * g * g;
    let a = acc_delta[i];
    let d = sqrt(a + s.eps) / sqrt(v + s.eps) * g;
    square_avg[i] = v;
    acc_delta[i] = s.rho * a + s.rest * d * d;
    return w - s.lr * d;
}
