// One element of x as it is computed with.
fn load_at(at: u32) -> C { return C(x[at]); }
