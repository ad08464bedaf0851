// Cross-entropy of softmax(x) against class labels, with label smoothing ε = p.scalar, for each row:
//   target q_c = ε / classes + (1 - ε)·[c = label]
//   loss = -Σ q_c · ln softmax(x)_c = ln Σ e^(x_c - m) + (1 - ε)·(m - x_label) + (ε / classes)·Σ (m - x_c),   m = max x_c
// Every term is at least 0, so nothing cancels however large the logits are. A label that is no class gives a NaN loss, and one
// that is `ignored` none at all. labels, loss: [rows]; rows: m and Σ e^(x - m) of each, for the gradient.
// The state: m, Σ e^(x - m), (ε / classes)·Σ (m - x), the number of elements.
// Uses: logarithm, special, target.
alias S = vec4<f32>;
alias R = vec2<f32>;
@group(0) @binding(5) var<storage, read> scores: array<f32>; // x, element by element
@group(0) @binding(7) var<storage, read_write> loss: array<f32>;
@group(0) @binding(8) var<storage, read_write> rows: array<R>;

fn empty() -> S { return vec4<f32>(float_of(INFINITY | ~MAGNITUDE), 0.0, 0.0, 0.0); }
fn map(v: f32, k: u32) -> S { return vec4<f32>(v, 1.0, 0.0, 1.0); }
fn combine(a: S, b: S) -> S {
    let first = a.x > b.x || is_nan_f32(a.x);
    let high = select(b, a, first);
    let low = select(a, b, first);
    // Equal maxima may be infinite, and then have no difference; the state of nothing has none to anything.
    let down = select(high.x - low.x, 0.0, low.x == high.x || low.w == 0.0);
    let share = exp(-down);
    return vec4<f32>(high.x, high.y + low.y * share, high.z + low.z + p.scalar / f32(p.length) * low.w * down, high.w + low.w);
}

fn term(at: u32, k: u32, row: u32) -> S { return each(x[at], k); }

fn put(row: u32, s: S) {
    rows[row] = s.xy;
    let label = labels[row];
    if is_ignored(label) {
        loss[row] = 0.0;
        return;
    }
    if u32(label) >= p.length {
        loss[row] = nan_of(label);
        return;
    }
    let infinite = bitcast<u32>(s.x) == INFINITY || is_nan_f32(s.x);
    let sum = select(s.y, float_of(QUIET_NAN), infinite);
    var value = ln(vec4<f32>(sum)).x + (1.0 - p.scalar) * (s.x - scores[row * p.length + u32(label)]);
    if p.scalar > 0.0 {
        // Left out where it is nothing, or a logit of -inf would make 0 · inf of it.
        value += s.z;
    }
    loss[row] = value;
}
