// f(x) = x, to copy and to convert.
fn f(x: vec4<C>) -> vec4<C> { return x; }
