// f(x) = x², f' = 2x.
fn f(x: vec4<C>) -> vec4<C> { return x * x; }
fn gradient(x: vec4<f32>, dy: vec4<f32>) -> vec4<f32> { return dy * (2.0 * x); }
