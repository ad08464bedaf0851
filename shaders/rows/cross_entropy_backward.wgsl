// Gradient of cross_entropy.wgsl:  dx_c = dloss · (softmax(x)_c - q_c), by the row's maximum and Σ e^(x - maximum).
// dloss: one value, the gradient of the rows' mean, or with IGNORE = 1 of their sum. The row of a label that is no class is NaN;
// one that is ignored is 0. is_class stands in class_1.wgsl or class_4.wgsl.
// Uses: special, target.
alias R = vec2<f32>;
@group(0) @binding(5) var<storage, read> dloss: array<f32>;
@group(0) @binding(6) var<storage, read_write> dx: array<V>;

fn write(at: u32, k: u32, row: u32, r: R) {
    let label = labels[row];
    if is_ignored(label) {
        dx[at] = V();
        return;
    }
    let sum = select(r.y, float_of(QUIET_NAN), bitcast<u32>(r.x) == INFINITY || is_nan_f32(r.x));
    // p.n / p.count is 1 / rows.
    let mean = select(dloss[0] * (f32(p.n) / f32(p.count)), dloss[0], IGNORE == 1u);
    let scale = select(mean, nan_of(label), u32(label) >= p.length);
    let here = is_class(u32(label), k);
    dx[at] = scale * (exp(x[at] - r.x) / sum - (V(p.scalar / f32(p.length)) + here * (1.0 - p.scalar)));
}
