// Gradients of layer_norm.wgsl for weight and bias: dweight = Σ dy·x̂, dbias = Σ dy, down the columns, which are this
// reduction's rows. stats: mean and 1 / deviation of each row of x.
alias S = vec2<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read> stats: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read> dy: array<f32>;
@group(0) @binding(6) var<storage, read_write> dweight: array<f32>;
@group(0) @binding(7) var<storage, read_write> dbias: array<f32>;

fn empty() -> S { return S(); }
fn combine(a: S, b: S) -> S { return a + b; }
fn term(at: u32, k: u32, row: u32) -> S {
    return vec2<f32>(dy[at] * ((x[at] - stats[k].x) * stats[k].y), dy[at]);
}
fn put(row: u32, s: S) {
    dweight[row] = s.x;
    dbias[row] = s.y;
}
