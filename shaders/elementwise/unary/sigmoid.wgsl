// f(x) = 1 / (1 + e^-x), f' = y (1 - y).
// Uses: special.
fn f(x: vec4<f32>) -> vec4<f32> { return select(1.0 / (1.0 + exp(-x)), x, is_nan(x)); }
fn gradient(y: vec4<f32>, dy: vec4<f32>) -> vec4<f32> { return dy * (1.0 - y) * y; }
