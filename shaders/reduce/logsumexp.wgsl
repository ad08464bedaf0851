// ln Σ e^x.
// Uses: logarithm, max_exp.
fn finish(s: S) -> f32 { return s.x + ln(vec4<f32>(s.y)).x; }
