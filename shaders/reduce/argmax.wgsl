// Index of the first maximum along the middle axis: x [outer, n, inner] → y [outer, inner], u32. The first NaN counts as
// the maximum. One invocation an element of y.
// Uses: index, special.
struct Params { first_group: u32, n: u32, inner: u32, total: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn argmax(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let t = thread_index(id, groups);
    if t >= p.total {
        return;
    }
    let base = (t / p.inner) * p.n * p.inner + t % p.inner;
    var best = x[base];
    var at = 0u;
    for (var k = 1u; k < p.n; k++) {
        let value = x[base + k * p.inner];
        if !is_nan_f32(best) && (value > best || is_nan_f32(value)) {
            best = value;
            at = k;
        }
    }
    y[t] = at;
}
