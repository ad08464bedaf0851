// f(x) = ln(1 + e^x), computed as max(x, 0) + ln(1 + e^-|x|), which cannot overflow; f' = 1 / (1 + e^-x).
fn f(x: vec4<f32>) -> vec4<f32> { return max(x, vec4<f32>(0.0)) + log(1.0 + exp(-abs(x))); }
fn df(x: vec4<f32>) -> vec4<f32> { return 1.0 / (1.0 + exp(-x)); }
