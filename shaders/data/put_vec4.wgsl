// Shared by gather_images: rows are whole vec4.
alias X = vec4<f32>;
fn put(row: u32, word: u32, value: vec4<f32>) {
    x[row * WORDS + word] = value;
}
