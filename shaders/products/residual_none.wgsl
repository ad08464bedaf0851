// A product to which no tensor is added.
fn with_residual(x: vec4<f32>, i: u32) -> vec4<f32> {
    return x;
}
