// Logarithm of the softmax over rows: y = (x - m) - ln s with the row's maximum m and s = Σ e^(x - m). V: a unit of x and y.
// Uses: logarithm, max_and_sum.
fn settle(s: S, row: u32) -> R { return vec2<f32>(s.x, ln(vec4<f32>(valid(s).y)).x); }
fn write(at: u32, k: u32, row: u32, r: R) { y[at] = (x[at] - r.x) - r.y; }
