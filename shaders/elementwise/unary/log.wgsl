// f(x) = ln x, f' = 1 / x.
// Uses: logarithm.
fn f(x: vec4<f32>) -> vec4<f32> { return ln(x); }
fn gradient(x: vec4<f32>, dy: vec4<f32>) -> vec4<f32> { return dy / x; }
