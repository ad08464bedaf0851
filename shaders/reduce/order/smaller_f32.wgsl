// From the smallest to the largest; NaN comes first.
// Uses: special.
fn before(a: f32, b: f32) -> bool { return !is_nan_f32(b) && (is_nan_f32(a) || a < b); }
fn last() -> f32 { return float_of(INFINITY); }
