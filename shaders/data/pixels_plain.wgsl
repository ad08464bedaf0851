// Shared by gather_images: pixels as they are.
fn pixels_of(image: u32, word: u32) -> vec4<u32> {
    let four = pixels[(image - p.first) * WORDS + word];
    return (vec4<u32>(four) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
}
