// Gradient of layer_norm.wgsl for x, with g = dy · weight and the row's n elements:
//   dx = r · (g - Σ g / n - x̂ · Σ g·x̂ / n).   stats: m and r of each row. Constant: WEIGHT, whether there is one.
alias S = vec2<f32>;
alias R = vec2<f32>;
@group(0) @binding(3) var<storage, read> x: array<V>;
@group(0) @binding(4) var<storage, read> weight: array<V>;
@group(0) @binding(5) var<storage, read> stats: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read> dy: array<V>;
@group(0) @binding(8) var<storage, read_write> dx: array<V>;

fn scaled(at: u32, k: u32) -> V {
    var g = dy[at];
    if WEIGHT == 1u {
        g *= weight[k];
    }
    return g;
}
fn empty() -> S { return S(); }
fn combine(a: S, b: S) -> S { return a + b; }
fn term(at: u32, k: u32, row: u32) -> S {
    let g = scaled(at, k);
    return vec2<f32>(total(g), total(g * ((x[at] - stats[row].x) * stats[row].y)));
}
fn settle(s: S, row: u32) -> R { return s / f32(p.length); }
fn write(at: u32, k: u32, row: u32, r: R) {
    let normal = (x[at] - stats[row].x) * stats[row].y;
    dx[at] = stats[row].y * (scaled(at, k) - r.x - normal * r.y);
}
fn keep(row: u32, r: R) {}
