// The state of a unit that is one element: map(v, k) of the op.
fn each(v: V, k: u32) -> S { return map(v, k); }
