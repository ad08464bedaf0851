// The sum of a unit that is one element.
fn total(v: V) -> f32 { return v; }
