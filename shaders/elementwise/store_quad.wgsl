// Four numbers as the elements of y: Y is a vec4.
fn store(v: vec4<C>) -> Y { return Y(v); }
