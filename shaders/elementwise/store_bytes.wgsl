// Four numbers as the bytes of a word, the first lowest: their integer parts modulo 256. Y is u32.
fn store(v: vec4<C>) -> Y {
    let bytes = (vec4<u32>(vec4<i32>(v)) & vec4<u32>(255u)) << vec4<u32>(0u, 8u, 16u, 24u);
    return bytes.x | bytes.y | bytes.z | bytes.w;
}
