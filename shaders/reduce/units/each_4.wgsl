// The state of a unit that is four elements, by map(v, k) of the op: neighbours first.
fn each(v: V, k: u32) -> S {
    let first = combine(map(v.x, 4u * k), map(v.y, 4u * k + 1u));
    return combine(first, combine(map(v.z, 4u * k + 2u), map(v.w, 4u * k + 3u)));
}
