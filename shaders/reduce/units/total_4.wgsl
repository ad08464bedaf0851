// The sum of a unit that is four elements.
fn total(v: V) -> f32 { return (v.x + v.y) + (v.z + v.w); }
