// 1 where a < b and 0 elsewhere; NaN is less than nothing, and nothing less than it.
// Uses: special.
fn f(a: vec4<C>, b: vec4<C>) -> vec4<C> {
    return select(vec4<C>(), vec4<C>(1), (a < b) & !is_nan(vec4<f32>(a)) & !is_nan(vec4<f32>(b)));
}
