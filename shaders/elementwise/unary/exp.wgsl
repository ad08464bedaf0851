// f(x) = e^x, f' = y.
fn f(x: vec4<f32>) -> vec4<f32> { return exp(x); }
fn df(y: vec4<f32>) -> vec4<f32> { return y; }
