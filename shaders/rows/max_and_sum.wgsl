// Shared: the maximum and Σ e^(x - maximum) of a row, the latter NaN where the row has a NaN or +infinity.
// Uses: reduce/max_exp, special.
alias R = vec2<f32>;
@group(0) @binding(3) var<storage, read> x: array<V>;
@group(0) @binding(4) var<storage, read_write> y: array<V>;

fn term(at: u32, k: u32, row: u32) -> S { return each(x[at], k); }
fn valid(s: S) -> S {
    return vec2<f32>(s.x, select(s.y, float_of(QUIET_NAN), bitcast<u32>(s.x) == INFINITY || is_nan_f32(s.x)));
}
fn keep(row: u32, r: R) {}
