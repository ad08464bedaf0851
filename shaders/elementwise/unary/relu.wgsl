// f(x) = max(x, 0), f' = 1 where y > 0 and 0 elsewhere; NaN stays, and passes the gradient on, as in PyTorch.
// Uses: special.
fn f(x: vec4<f32>) -> vec4<f32> { return relu(x); }
fn gradient(y: vec4<f32>, dy: vec4<f32>) -> vec4<f32> { return relu_grad(y, dy); }
