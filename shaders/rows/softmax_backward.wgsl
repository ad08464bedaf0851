// Gradient of softmax.wgsl: dx = y · (dy - Σ dy·y).
// Uses: row_gradient.
fn term(at: u32, k: u32, row: u32) -> S { return total(dy[at] * y[at]); }
fn write(at: u32, k: u32, row: u32, r: R) { dx[at] = y[at] * (dy[at] - r); }
