// Stores four columns of a product at once. For c_col 1 and plane, n and the other strides of the output's layout divisible by
// 4. Alias: Out, the output's element (f32, f16).
@group(0) @binding(3) var<storage, read_write> out: array<vec4<Out>>;

// Where columns col .. col + 3 stand within a row of the output; they lie side by side.
fn place_of(col: u32) -> vec4<u32> {
    return vec4<u32>(col / p.plane * p.c_image + col % p.plane);
}

fn store(row_offset: u32, place: vec4<u32>, col: u32, value: vec4<f32>) {
    if (col < p.n) {
        let i = (row_offset + place.x) / 4u;
        out[i] = vec4<Out>(finished(value, i));
    }
}
