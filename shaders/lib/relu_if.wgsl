// Shared: ReLU where it is wanted. A select, since max may drop a NaN, and a run that diverged would go on with zeros.
fn relu_if(v: vec4<f32>, wanted: bool) -> vec4<f32> {
    return select(v, vec4<f32>(), (v < vec4<f32>()) & vec4<bool>(wanted));
}
