// Shared: division by a number that the compiler does not know. Software adapters divide integers lane by lane, ten times as
// long as this takes.
//   a / b, rounded down, for a and b below 2³¹, b > 0
// A quotient from f32, off by at most a / b · 2⁻²¹ + 1; the quotient of what it leaves, off by one at most; and that one.
fn divide(a: u32, b: u32) -> u32 {
    let inverse = 1.0 / f32(i32(b));
    var q = i32(f32(i32(a)) * inverse);
    q += i32(f32(i32(a) - q * i32(b)) * inverse);
    let rest = i32(a) - q * i32(b);
    return u32(q + select(0, 1, rest >= i32(b)) - select(0, 1, rest < 0));
}
