// A product with one bias for each row of each batch, as a convolution's output channels have. bias: [batches, m].
@group(0) @binding(4) var<storage, read> bias: array<f32>;

fn biased(value: vec4<f32>, batch: u32, row: u32, col: u32) -> vec4<f32> {
    return value + bias[batch * p.m + row];
}
