// f(x) = x·Φ(x), f' = Φ(x) + x·φ(x), with the normal distribution's Φ and its density φ.
// Uses: normal, special.
fn f(x: vec4<f32>) -> vec4<f32> { return select(x * normal_cdf(x), x, is_nan(x)); }
fn gradient(x: vec4<f32>, dy: vec4<f32>) -> vec4<f32> {
    return dy * select(normal_cdf(x) + x * normal_density(x), x, is_nan(x));
}
