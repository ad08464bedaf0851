// The most negative finite f32: WGSL has no infinity.
const IDENTITY = vec4<f32>(-3.40282347e+38);
fn combine(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> { return max(a, b); }
