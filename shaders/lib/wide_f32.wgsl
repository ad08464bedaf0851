// Shared: eight or two floats that are loaded together, where there are no 64-bit integers; see wide_u64.wgsl.
struct Wide {
    a: vec4<f32>,
    b: vec4<f32>,
}

fn floats(w: Wide) -> array<vec4<f32>, 2> {
    return array<vec4<f32>, 2>(w.a, w.b);
}

alias Two = vec2<f32>;

fn pair_of(v: Two) -> vec2<f32> {
    return v;
}
