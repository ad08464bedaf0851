// f(x) = Φ(x) + x·φ(x), the derivative of GELU; f' = φ(x)·(2 - x²), with the normal distribution's Φ and its density φ.
// Uses: normal, special.
fn f(x: vec4<f32>) -> vec4<f32> { return select(normal_cdf(x) + x * normal_density(x), x, is_nan(x)); }
fn gradient(x: vec4<f32>, dy: vec4<f32>) -> vec4<f32> {
    return dy * select(normal_density(x) * (2.0 - x * x), x, is_nan(x));
}
