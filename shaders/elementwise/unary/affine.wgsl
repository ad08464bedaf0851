// f(x) = a·x + b, f' = a.
fn f(x: vec4<f32>) -> vec4<f32> { return p.a * x + p.b; }
fn df(x: vec4<f32>) -> vec4<f32> { return vec4<f32>(p.a); }
