// Softmax over rows: y = e^(x - m) / s with the row's maximum m and s = Σ e^(x - m). V: a unit of x and y.
// Uses: max_and_sum.
fn settle(s: S, row: u32) -> R { return valid(s); }
fn write(at: u32, k: u32, row: u32, r: R) { y[at] = exp(x[at] - r.x) / r.y; }
