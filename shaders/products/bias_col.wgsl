// A product with one bias for each column, as a linear layer's outputs have. bias: [n].
@group(0) @binding(4) var<storage, read> bias: array<f32>;

fn biased(value: vec4<f32>, batch: u32, row: u32, col: u32) -> vec4<f32> {
    // Columns past the last are not stored; they read any bias there is.
    let last = p.n - 1u;
    return value + vec4<f32>(
        bias[min(col, last)], bias[min(col + 1u, last)], bias[min(col + 2u, last)], bias[min(col + 3u, last)]);
}
