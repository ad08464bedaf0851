// f(x) = √x, f' = 1 / (2y).
fn f(x: vec4<f32>) -> vec4<f32> { return sqrt(x); }
fn df(y: vec4<f32>) -> vec4<f32> { return 0.5 / y; }
