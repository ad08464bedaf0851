// f(x) = 1 / (1 + e^-x), f' = y (1 - y).
fn f(x: vec4<f32>) -> vec4<f32> { return 1.0 / (1.0 + exp(-x)); }
fn df(y: vec4<f32>) -> vec4<f32> { return y * (1.0 - y); }
