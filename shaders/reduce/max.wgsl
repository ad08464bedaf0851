// Uses: special.
fn combine(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> { return larger(a, b); }
