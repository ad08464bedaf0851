// Shared by gather_images: rows of any length.
alias X = f32;
fn put(row: u32, word: u32, value: vec4<f32>) {
    for (var e = 0u; e < 4u; e++) {
        if word * 4u + e < SIZE {
            x[row * SIZE + word * 4u + e] = value[e];
        }
    }
}
