// Shared: the maximum m of a row and s = Σ e^(x - m), in one pass; e^(x - m) cannot overflow. m is NaN where an element is.
// Uses: special.
alias S = vec2<f32>;
fn empty() -> S { return vec2<f32>(float_of(INFINITY | ~MAGNITUDE), 0.0); }
fn map(v: f32, k: u32) -> S { return vec2<f32>(v, 1.0); }
fn combine(a: S, b: S) -> S {
    let first = a.x > b.x || is_nan_f32(a.x);
    let high = select(b, a, first);
    let low = select(a, b, first);
    // Equal maxima may be infinite, and then have no difference.
    let share = select(exp(low.x - high.x), 1.0, low.x == high.x);
    return vec2<f32>(high.x, high.y + low.y * share);
}
