// The larger operand; NaN where one of them is.
// Uses: special.
fn f(a: vec4<C>, b: vec4<C>) -> vec4<C> {
    let takes_a = !is_nan(vec4<f32>(b)) & ((a > b) | is_nan(vec4<f32>(a)));
    return select(b, a, takes_a);
}
