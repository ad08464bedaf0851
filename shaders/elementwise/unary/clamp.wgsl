// f(x) = min(max(x, a), b), NaN stays; f' = 1 where a < x < b and 0 elsewhere, as in PyTorch: on the bounds and at NaN too.
// Uses: special.
fn f(x: vec4<f32>) -> vec4<f32> {
    let low = vec4<f32>(p.a);
    let high = vec4<f32>(p.b);
    return select(select(select(x, low, x < low), high, x > high), x, is_nan(x));
}
fn gradient(x: vec4<f32>, dy: vec4<f32>) -> vec4<f32> {
    return select(vec4<f32>(0.0), dy, (x > vec4<f32>(p.a)) & (x < vec4<f32>(p.b)));
}
