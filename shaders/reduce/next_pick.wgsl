// The index that follows the last pick, if the elements of a row x are ordered as order/*.wgsl says, equal ones by their index.
// picks: [picks, rows]; p.index: which one this is. The state is the bits of an element, and its index.
// Uses: arg_extreme.
@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read_write> picks: array<i32>;

fn term(at: u32, k: u32, row: u32) -> S {
    if p.index > 0u {
        let last = u32(picks[(p.index - 1u) * p.rows + row]);
        let value = x[row * p.length + last];
        if before(x[at], value) || (!before(value, x[at]) && k <= last) {
            return empty();
        }
    }
    return map(x[at], k);
}
fn put(row: u32, s: S) { picks[p.index * p.rows + row] = finish(s); }
