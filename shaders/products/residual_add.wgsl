// A product to which a tensor laid out as the output is added before the activation, as in residual networks.
// Aliases: Residual, what it is read by, an element or a vec4 as the output is stored; Computed, the same of f32.
@group(0) @binding(5) var<storage, read> residual: array<Residual>;

fn with_residual(x: vec4<f32>, i: u32) -> vec4<f32> {
    return x + vec4<f32>(Computed(residual[i]));
}
