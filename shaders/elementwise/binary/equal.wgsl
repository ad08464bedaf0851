// 1 where the operands are equal and 0 elsewhere, which elements were a maximum; NaN equals nothing.
// Uses: special.
fn f(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return select(vec4<f32>(0.0), vec4<f32>(1.0), (a == b) & !is_nan(a));
}
