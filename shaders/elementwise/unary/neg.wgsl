// f(x) = -x, f' = -1.
fn f(x: vec4<f32>) -> vec4<f32> { return -x; }
fn df(x: vec4<f32>) -> vec4<f32> { return vec4<f32>(-1.0); }
