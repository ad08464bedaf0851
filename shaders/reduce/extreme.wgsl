// The element that comes before all others in the order of order/*.wgsl: a maximum or a minimum, or NaN where there is one.
alias S = C;
fn empty() -> S { return last(); }
fn map(v: C, k: u32) -> S { return v; }
fn combine(a: S, b: S) -> S { return select(b, a, before(a, b)); }
fn finish(s: S) -> C { return s; }
