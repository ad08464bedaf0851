// f(x) = x², f' = 2x.
fn f(x: vec4<f32>) -> vec4<f32> { return x * x; }
fn df(x: vec4<f32>) -> vec4<f32> { return 2.0 * x; }
