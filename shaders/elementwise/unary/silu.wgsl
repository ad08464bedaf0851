// f(x) = x·σ(x), f' = σ(x) (1 + x (1 - σ(x))), with σ(x) = 1 / (1 + e^-x).
// Uses: special.
fn f(x: vec4<f32>) -> vec4<f32> { return select(x / (1.0 + exp(-x)), x, is_nan(x)); }
fn gradient(x: vec4<f32>, dy: vec4<f32>) -> vec4<f32> {
    let s = 1.0 / (1.0 + exp(-x));
    return dy * select(s * (1.0 + x * (1.0 - s)), x, is_nan(x));
}
