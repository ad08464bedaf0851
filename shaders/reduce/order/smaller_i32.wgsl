// From the smallest to the largest.
fn before(a: i32, b: i32) -> bool { return a < b; }
fn last() -> i32 { return 0x7fffffff; }
