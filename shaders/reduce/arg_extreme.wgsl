// The index of the element that comes before all others in the order of order/*.wgsl, the first where several are equal.
// The state is the bits of the element, and its index.
alias S = vec2<u32>;
fn empty() -> S { return vec2<u32>(bitcast<u32>(last()), 0xffffffffu); }
fn map(v: C, k: u32) -> S { return vec2<u32>(bitcast<u32>(v), k); }
fn combine(a: S, b: S) -> S {
    let u = bitcast<C>(a.x);
    let v = bitcast<C>(b.x);
    return select(b, a, before(u, v) || (!before(v, u) && a.y < b.y));
}
fn finish(s: S) -> i32 { return i32(s.y); }
