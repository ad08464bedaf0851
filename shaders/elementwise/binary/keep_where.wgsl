// a where b is not 0, and 0 elsewhere, whatever a is there.
fn f(a: vec4<C>, b: vec4<C>) -> vec4<C> { return select(vec4<C>(), a, b != vec4<C>()); }
