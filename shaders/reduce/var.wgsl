// Variance: the sum of squared differences from the mean, times p.a = 1 / (n - correction).
// Uses: moments.
fn finish(s: S) -> f32 { return s.z * p.a; }
