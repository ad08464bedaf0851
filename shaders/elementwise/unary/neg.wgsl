// f(x) = -x, f' = -1.
fn f(x: vec4<C>) -> vec4<C> { return -x; }
fn gradient(x: vec4<f32>, dy: vec4<f32>) -> vec4<f32> { return -dy; }
