// Sum; with p.scalar = 1 / n the mean. Alias: C, f32 or i32.
alias S = C;
fn empty() -> S { return C(); }
fn map(v: C, k: u32) -> S { return v; }
fn combine(a: S, b: S) -> S { return a + b; }
fn finish(s: S) -> C { return s * C(p.scalar); }
