// Four neighbouring elements as they are computed with: X is a vec4, C what is computed with.
fn load(quad: X) -> vec4<C> { return vec4<C>(quad); }
