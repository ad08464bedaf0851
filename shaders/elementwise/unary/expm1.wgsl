// f(x) = e^x - 1, f' = y + 1. Near 0, where the difference would cancel: x (1 + x P(x)), with P fitted for the least relative
// error, 1.2e-7.
// Uses: special.
fn f(x: vec4<f32>) -> vec4<f32> {
    let series = 0.50000006 + x * (0.1666613 + x * (0.041665 + x * (0.00840267 + x * 0.00140089)));
    let value = select(exp(x) - 1.0, x * (1.0 + x * series), abs(x) < vec4<f32>(0.5));
    return select(value, x, is_nan(x));
}
fn gradient(y: vec4<f32>, dy: vec4<f32>) -> vec4<f32> { return dy * (y + 1.0); }
