// One stage of a reduction over the middle axis: x [outer, n, inner] → y [outer, chunks, inner].
//   y[o][c][i] = scale · ⊕ x[o][k][i] over the k of chunk c, in rising order
// combine (⊕) stands in reduce/<op>.wgsl. Long axes take several stages, so that the work is
// parallel, the order fixed and no loop long. One invocation an element of y.
// Uses: index.
struct Params { first_group: u32, n: u32, inner: u32, chunk: u32, chunks: u32, total: u32, scale: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn reduce(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let t = thread_index(id, groups);
    if t >= p.total {
        return;
    }
    let i = t % p.inner;
    let c = (t / p.inner) % p.chunks;
    let o = t / (p.inner * p.chunks);
    let first = c * p.chunk;
    let last = min(first + p.chunk, p.n);
    var acc = vec4<f32>(x[(o * p.n + first) * p.inner + i]);
    for (var k = first + 1u; k < last; k++) {
        acc = combine(acc, vec4<f32>(x[(o * p.n + k) * p.inner + i]));
    }
    y[t] = acc.x * p.scale;
}
