// f(x) = ln x, f' = 1 / x.
fn f(x: vec4<f32>) -> vec4<f32> { return log(x); }
fn df(x: vec4<f32>) -> vec4<f32> { return 1.0 / x; }
