// Shared: how every product ends, y = f(sum + bias + residual), in both families.
// The kernel's parameters say bias_of, 0: no bias; 1: one for each row of each batch, a convolution's channels, bias:
// [batches, m]; 2: one for each column, a linear layer's outputs, bias: [n]. And activate, 1: f is applied, 0: it is left out.
// So a model whose products end in ReLU or in nothing compiles one variant of each kernel, that of relu.
// Chosen: elementwise/unary/<activation>, whose f it is, and residual_*.
@group(0) @binding(4) var<storage, read> bias: array<f32>; // anything, where bias_of is 0

// row: counted over all batches.
fn row_bias(row: u32) -> f32 {
    if (p.bias_of != 1u) {
        return 0.0;
    }
    return bias[row];
}

// Of columns col .. col + 3; those past the last, which are not stored, take the last one's.
fn col_bias(col: u32, last: u32) -> vec4<f32> {
    if (p.bias_of != 2u) {
        return vec4<f32>();
    }
    return vec4<f32>(
        bias[min(col, last)], bias[min(col + 1u, last)], bias[min(col + 2u, last)], bias[min(col + 3u, last)]);
}

// What is stored at i, a position in the output.
fn finished(biased: vec4<f32>, i: u32) -> vec4<f32> {
    return activated(with_residual(biased, i));
}

fn activated(x: vec4<f32>) -> vec4<f32> {
    return select(x, f(x), p.activate == 1u);
}
