// Layer normalisation over rows: x̂ = (x - m) · r, r = 1 / √(v + eps), with mean m and biased variance v of the row;
//   y = x̂ · weight + bias.   stats: m and r of each row, for the gradient. p.scalar: eps.
// x, y [rows, n units V]; weight, bias [n units]; constants WEIGHT and BIAS: whether there are such.
// Uses: reduce/moments.
alias R = vec2<f32>;
@group(0) @binding(3) var<storage, read> x: array<V>;
@group(0) @binding(4) var<storage, read> weight: array<V>;
@group(0) @binding(5) var<storage, read> bias: array<V>;
@group(0) @binding(6) var<storage, read_write> y: array<V>;
@group(0) @binding(8) var<storage, read_write> stats: array<R>;

fn term(at: u32, k: u32, row: u32) -> S { return each(x[at], k); }
fn settle(s: S, row: u32) -> R { return vec2<f32>(s.y, 1.0 / sqrt(s.z / s.x + p.scalar)); }
fn write(at: u32, k: u32, row: u32, r: R) {
    var value = (x[at] - r.x) * r.y;
    if WEIGHT == 1u {
        value *= weight[k];
    }
    if BIAS == 1u {
        value += bias[k];
    }
    y[at] = value;
}
fn keep(row: u32, r: R) { stats[row] = r; }
