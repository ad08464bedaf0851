// Shared: what Winograd's guard must know of the values that a transform has seen, four at a time. See winograd_guard.wgsl.
// Needs special.wgsl.
struct Summary {
    largest: vec4<u32>, // bits of the largest magnitude
    roots: vec4<f32>, // sum of the fourth roots
    count: vec4<f32>, // of those that are not 0
}

fn look_at(summary: ptr<function, Summary>, v: vec4<f32>) {
    let bits = bitcast<vec4<u32>>(v) & vec4<u32>(MAGNITUDE);
    (*summary).largest = max((*summary).largest, bits);
    // A quarter of the bits is nearly a quarter of the logarithm: the fourth root, to some per cent.
    (*summary).roots += bitcast<vec4<f32>>((bits >> vec4<u32>(2u)) + vec4<u32>(0x2fa00000u));
    (*summary).count += select(vec4<f32>(), vec4<f32>(1.0), bits > vec4<u32>());
}

// Values that count for the largest only.
fn look_beyond(summary: ptr<function, Summary>, v: vec4<f32>) {
    (*summary).largest = max((*summary).largest, bitcast<vec4<u32>>(v) & vec4<u32>(MAGNITUDE));
}

// The words of the four.
fn words_of(summary: Summary) -> vec4<u32> {
    let mean = summary.roots / max(summary.count, vec4<f32>(1.0));
    return (summary.largest & vec4<u32>(0xffff0000u)) | (bitcast<vec4<u32>>(mean) >> vec4<u32>(16u));
}

// One word for all.
fn word_of(summary: Summary) -> u32 {
    let pair = max(summary.largest.xy, summary.largest.zw);
    let roots = (summary.roots.x + summary.roots.y) + (summary.roots.z + summary.roots.w);
    let count = (summary.count.x + summary.count.y) + (summary.count.z + summary.count.w);
    return (max(pair.x, pair.y) & 0xffff0000u) | (bitcast<u32>(roots / max(count, 1.0)) >> 16u);
}
