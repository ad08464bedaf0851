// From the largest to the smallest.
fn before(a: i32, b: i32) -> bool { return a > b; }
fn last() -> i32 { return bitcast<i32>(0x80000000u); }
