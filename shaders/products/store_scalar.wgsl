// Stores four columns of a product one by one, for any layout of the output. Alias: Out, its element (f32, f16).
@group(0) @binding(3) var<storage, read_write> out: array<Out>;

// Where columns col .. col + 3 stand within a row of the output.
fn place_of(col: u32) -> vec4<u32> {
    let cols = vec4<u32>(col, col + 1u, col + 2u, col + 3u);
    return cols / p.plane * p.c_image + cols % p.plane * p.c_col;
}

fn store(row_offset: u32, place: vec4<u32>, col: u32, value: vec4<f32>) {
    for (var e = 0u; e < 4u; e++) {
        if (col + e < p.n) {
            let i = row_offset + place[e];
            out[i] = Out(finished(vec4<f32>(value[e]), i).x);
        }
    }
}
