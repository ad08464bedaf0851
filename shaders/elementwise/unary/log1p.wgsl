// f(x) = ln(1 + x), f' = 1 / (1 + x).
// Uses: logarithm.
fn f(x: vec4<f32>) -> vec4<f32> { return ln_1p(x); }
fn gradient(x: vec4<f32>, dy: vec4<f32>) -> vec4<f32> { return dy / (1.0 + x); }
