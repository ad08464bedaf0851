// Shared: what Winograd's guard takes for odd. See winograd_guard.wgsl.
const WIDE = 32.0;
const FAR = 256.0;
const MANY_QUADS = 128u; // with fewer, one outlier would make up their mean
const HUGE = 1e30; // the transforms multiply by up to 30 along the way

// The largest block, as bits, and the sum of the others.
struct Seen { peak: u32, rest: f32 }

fn together(a: Seen, b: Seen) -> Seen {
    // Both are magnitudes, so bits are ordered like they are, and a NaN's are last.
    return Seen(max(a.peak, b.peak), a.rest + b.rest + bitcast<f32>(min(a.peak, b.peak)));
}

// Whether a magnitude is infinite, NaN or near.
fn is_beyond(bits: u32) -> bool {
    return bits > bitcast<u32>(HUGE);
}

// Whether the largest block outweighs the others, if there are any.
fn is_odd(seen: Seen) -> bool {
    return is_beyond(seen.peak) || (seen.rest > 0.0 && bitcast<f32>(seen.peak) > WIDE * seen.rest);
}

// Whether a quad, of so many, is to be computed anew.
fn is_odd_quad(seen: Seen, mean: f32, quads: u32) -> bool {
    let peak = bitcast<f32>(seen.peak);
    return is_beyond(seen.peak) || (peak > 0.0 && (quads < MANY_QUADS || peak > FAR * mean));
}
