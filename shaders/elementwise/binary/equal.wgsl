// 1 where the operands are equal and 0 elsewhere, which elements were a maximum; NaN equals nothing.
// Uses: special.
fn f(a: vec4<C>, b: vec4<C>) -> vec4<C> {
    return select(vec4<C>(), vec4<C>(1), (a == b) & !is_nan(vec4<f32>(a)));
}
