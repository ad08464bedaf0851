// Variance: the sum of squared differences from the mean, times p.scalar = 1 / (n - correction).
// NaN where an element is infinite, and so the mean.
// Uses: moments, special.
fn finish(s: S) -> f32 {
    return select(s.z * p.scalar, float_of(QUIET_NAN), (bitcast<u32>(s.y) & MAGNITUDE) >= INFINITY);
}
