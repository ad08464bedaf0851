fn f(a: vec4<C>, b: vec4<C>) -> vec4<C> { return a * b; }
