// Shared by gather_images: rows of any length, of which each plane of PLANE pixels has its own scale and shift.
// stats: the scales of all planes, and then their shifts.
@group(0) @binding(6) var<storage, read> stats: array<f32>;

alias X = f32;
fn put(row: u32, word: u32, value: vec4<f32>) {
    for (var e = 0u; e < 4u; e++) {
        let at = word * 4u + e;
        if at < SIZE {
            x[row * SIZE + at] = value[e] * stats[at / PLANE] + stats[(SIZE + at) / PLANE];
        }
    }
}
