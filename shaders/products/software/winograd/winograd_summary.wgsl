// Shared: what Winograd's guard must know of the values that a transform has seen, four tiles, channels or filters at a time:
// the sums of magnitudes in four blocks of each. See winograd_guard.wgsl.
// Uses: winograd_odd.
alias Blocks = array<vec4<f32>, 4>;

// Two bf16 in a word each: such a sum is known to some per mille.
fn pair(high: vec4<f32>, low: vec4<f32>) -> vec4<u32> {
    return (bitcast<vec4<u32>>(high) & vec4<u32>(0xffff0000u)) | (bitcast<vec4<u32>>(low) >> vec4<u32>(16u));
}

fn high_of(word: vec4<u32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(word & vec4<u32>(0xffff0000u));
}

fn low_of(word: vec4<u32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(word << vec4<u32>(16u));
}

// The largest block of each of the four, as bits, which are ordered like the magnitudes and put NaN last.
fn peaks(b: Blocks) -> vec4<u32> {
    let upper = max(bitcast<vec4<u32>>(b[0]), bitcast<vec4<u32>>(b[1]));
    return max(upper, max(bitcast<vec4<u32>>(b[2]), bitcast<vec4<u32>>(b[3])));
}

// The sum of the other blocks, without the cancellation of a difference.
fn rests(b: Blocks) -> vec4<f32> {
    return min(b[0], b[1]) + min(b[2], b[3]) + min(max(b[0], b[1]), max(b[2], b[3]));
}

// The largest block and the sum of the others, in a word for each of the four.
fn peaks_and_rests(b: Blocks) -> vec4<u32> {
    return pair(bitcast<vec4<f32>>(peaks(b)), rests(b));
}

// The same, of all four together.
fn peak_and_rest(b: Blocks) -> u32 {
    let peak = peaks(b);
    let rest = rests(b);
    let all = together(
        together(Seen(peak.x, rest.x), Seen(peak.y, rest.y)), together(Seen(peak.z, rest.z), Seen(peak.w, rest.w)));
    return (all.peak & 0xffff0000u) | (bitcast<u32>(all.rest) >> 16u);
}
