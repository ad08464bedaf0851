// Four bytes of a word as numbers, the lowest first: X is u32, C what is computed with.
fn load(word: X) -> vec4<C> {
    return vec4<C>((vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u));
}
