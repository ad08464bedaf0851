// f(x) = |x|, f' = sign x, 0 at 0 and at NaN as in PyTorch.
fn f(x: vec4<C>) -> vec4<C> { return abs(x); }
fn gradient(x: vec4<f32>, dy: vec4<f32>) -> vec4<f32> {
    let zero = vec4<f32>(0.0);
    let one = vec4<f32>(1.0);
    return dy * (select(zero, one, x > zero) - select(zero, one, x < zero));
}
