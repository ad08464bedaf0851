// f(x) = ln(1 + e^x), computed as max(x, 0) + ln(1 + e^-|x|), which cannot overflow and keeps the digits of small results;
// f' = 1 / (1 + e^-x).
// Uses: logarithm, special.
fn f(x: vec4<f32>) -> vec4<f32> { return select(relu(x) + ln_1p(exp(-abs(x))), x, is_nan(x)); }
fn gradient(x: vec4<f32>, dy: vec4<f32>) -> vec4<f32> { return dy * select(1.0 / (1.0 + exp(-x)), x, is_nan(x)); }
