// Shared: eight or two floats that are loaded at once, as four 64-bit integers or one. Software adapters load lane by lane and
// component by component, and a wider component costs little more. Stores gain nothing: they stay vec4<f32>.
alias Wide = vec4<u64>;

fn floats(w: Wide) -> array<vec4<f32>, 2> {
    return array<vec4<f32>, 2>(
        vec4<f32>(low(w.x), high(w.x), low(w.y), high(w.y)), vec4<f32>(low(w.z), high(w.z), low(w.w), high(w.w)));
}

alias Two = u64;

fn pair_of(v: Two) -> vec2<f32> {
    return vec2<f32>(low(v), high(v));
}

fn low(v: u64) -> f32 {
    return bitcast<f32>(u32(v));
}

fn high(v: u64) -> f32 {
    return bitcast<f32>(u32(v >> 32u));
}
