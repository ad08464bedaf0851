// Euclidean norm: √Σ x².
alias S = f32;
fn empty() -> S { return 0.0; }
fn map(v: f32, k: u32) -> S { return v * v; }
fn combine(a: S, b: S) -> S { return a + b; }
fn finish(s: S) -> f32 { return sqrt(s); }
