// f(x) = x·Φ(x), f' = Φ(x) + x·φ(x), with Φ(x) = erfc(-x / √2) / 2 and φ its density.
// WGSL has no erfc. For z = |x| / √2 and t = 1 / (1 + z / 2): erfc z = t · e^(-z²) · P(t), with P fitted for the least
// relative error, 1.4e-6, so that the tail keeps its digits.
// Uses: special.
fn normal_cdf(x: vec4<f32>) -> vec4<f32> {
    let z = abs(x) * 0.70710678;
    let t = 1.0 / (1.0 + 0.5 * z);
    let series = 0.28233141 + t * (0.27758215 + t * (0.28150379 + t * (0.03789044
        + t * (0.38922509 + t * (-0.35673875 + t * 0.08820452)))));
    let tail = 0.5 * t * series * exp(-z * z);
    return select(tail, 1.0 - tail, x > vec4<f32>(0.0));
}
fn f(x: vec4<f32>) -> vec4<f32> { return select(x * normal_cdf(x), x, is_nan(x)); }
fn gradient(x: vec4<f32>, dy: vec4<f32>) -> vec4<f32> {
    return dy * select(normal_cdf(x) + x * 0.39894228 * exp(-0.5 * x * x), x, is_nan(x));
}
