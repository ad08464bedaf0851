// f(x) = min(max(x, a), b), f' = 1 where a ≤ x ≤ b and 0 elsewhere.
fn f(x: vec4<f32>) -> vec4<f32> { return clamp(x, vec4<f32>(p.a), vec4<f32>(p.b)); }
fn df(x: vec4<f32>) -> vec4<f32> {
    return select(vec4<f32>(0.0), vec4<f32>(1.0), (x >= vec4<f32>(p.a)) & (x <= vec4<f32>(p.b)));
}
