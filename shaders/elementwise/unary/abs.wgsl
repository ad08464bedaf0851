// f(x) = |x|, f' = sign x (0 at 0).
fn f(x: vec4<f32>) -> vec4<f32> { return abs(x); }
fn df(x: vec4<f32>) -> vec4<f32> { return sign(x); }
