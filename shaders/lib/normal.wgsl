// Shared: the normal distribution's function Φ(x) = erfc(-x / √2) / 2 and its density φ(x) = e^(-x²/2) / √2π.
// WGSL has no erfc. For z = |x| / √2 and t = 1 / (1 + z / 2): erfc z = t · e^(-z²) · P(t), with P fitted for the least
// relative error, 1.4e-6, so that the tail keeps its digits.
fn normal_cdf(x: vec4<f32>) -> vec4<f32> {
    let z = abs(x) * 0.70710678;
    let t = 1.0 / (1.0 + 0.5 * z);
    let series = 0.28233141 + t * (0.27758215 + t * (0.28150379 + t * (0.03789044
        + t * (0.38922509 + t * (-0.35673875 + t * 0.08820452)))));
    let tail = 0.5 * t * series * exp(-z * z);
    return select(tail, 1.0 - tail, x > vec4<f32>(0.0));
}
fn normal_density(x: vec4<f32>) -> vec4<f32> { return 0.39894228 * exp(-0.5 * x * x); }
