// Shared: ReLU where it is wanted.
// Uses: special.
fn relu_if(v: vec4<f32>, wanted: bool) -> vec4<f32> {
    return select(v, relu(v), wanted);
}
