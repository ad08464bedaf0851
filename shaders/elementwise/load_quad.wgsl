// Four neighbouring elements as they are computed with: X is a vec4, E its element, C what is computed with.
fn load(quad: X) -> vec4<C> { return vec4<C>(quad); }
fn load_at(at: u32) -> C { return C(x[at]); }
