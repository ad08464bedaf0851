// f(x) = a·x + b, f' = a.
fn f(x: vec4<f32>) -> vec4<f32> { return p.a * x + p.b; }
fn gradient(x: vec4<f32>, dy: vec4<f32>) -> vec4<f32> { return dy * p.a; }
