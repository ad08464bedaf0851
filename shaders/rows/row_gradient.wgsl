// Shared: gradients dx of rows by the output y, its gradient dy and one sum a row. V: a unit of each.
alias S = f32;
alias R = f32;
@group(0) @binding(3) var<storage, read> y: array<V>;
@group(0) @binding(4) var<storage, read> dy: array<V>;
@group(0) @binding(5) var<storage, read_write> dx: array<V>;

fn empty() -> S { return 0.0; }
fn combine(a: S, b: S) -> S { return a + b; }
fn settle(s: S, row: u32) -> R { return s; }
fn keep(row: u32, r: R) {}
