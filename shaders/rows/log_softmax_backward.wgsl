// Gradient of log_softmax.wgsl: dx = dy - e^y · Σ dy.
// Uses: row_gradient.
fn term(at: u32, k: u32, row: u32) -> S { return total(dy[at]); }
fn write(at: u32, k: u32, row: u32, r: R) { dx[at] = dy[at] - exp(y[at]) * r; }
