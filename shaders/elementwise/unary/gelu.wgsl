// f(x) = x·Φ(x), f' = Φ(x) + x·φ(x), with Φ(x) = (1 + erf(x / √2)) / 2 and φ its density.
// WGSL has no erf. For z = |x| / √2: erf(z) = 1 - (a1 t + … + a5 t⁵) e^(-z²), t = 1 / (1 + 0.3275911 z)
// (Abramowitz and Stegun 7.1.26, absolute error below 1.5e-7).
fn normal_cdf(x: vec4<f32>) -> vec4<f32> {
    let z = abs(x) * 0.70710678;
    let t = 1.0 / (1.0 + 0.3275911 * z);
    let series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    let tail = 0.5 * series * exp(-z * z);
    return select(tail, 1.0 - tail, x > vec4<f32>(0.0));
}
fn f(x: vec4<f32>) -> vec4<f32> { return x * normal_cdf(x); }
fn df(x: vec4<f32>) -> vec4<f32> {
    return normal_cdf(x) + x * 0.39894228 * exp(-0.5 * x * x);
}
