// Shared: number, mean and sum of squared differences from the mean, by Chan's formulas, in which nothing cancels however far
// the mean lies from 0.
alias S = vec4<f32>;
fn empty() -> S { return vec4<f32>(); }
fn map(v: f32, k: u32) -> S { return vec4<f32>(1.0, v, 0.0, 0.0); }
fn combine(a: S, b: S) -> S {
    let n = a.x + b.x;
    let share = b.x / max(n, 1.0);
    let shift = b.y - a.y;
    return vec4<f32>(n, a.y + shift * share, a.z + b.z + shift * shift * (a.x * share), 0.0);
}
