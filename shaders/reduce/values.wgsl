// A reduction of one tensor x to one y, by map and finish of the op. Aliases: X, a unit as it is stored; V, as it is computed
// with; Y, an element of y.
@group(0) @binding(3) var<storage, read> x: array<X>;
@group(0) @binding(4) var<storage, read_write> y: array<Y>;

fn term(at: u32, k: u32, row: u32) -> S { return each(V(x[at]), k); }
fn put(row: u32, s: S) { y[row] = Y(finish(s)); }
