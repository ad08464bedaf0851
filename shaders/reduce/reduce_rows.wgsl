// One stage of a reduction over rows: x [rows, n4 vec4] → y [rows, chunks], as reduce.wgsl for inner = 1 and a
// length that is a multiple of four: a vec4 load costs a software adapter as much as a scalar one.
// Each of the four components is reduced in rising order, then ((x ⊕ y) ⊕ (z ⊕ w)). One invocation an element of y.
// Uses: index.
struct Params { first_group: u32, n4: u32, chunk4: u32, chunks: u32, total: u32, scale: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn reduce_rows(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let t = thread_index(id, groups);
    if t >= p.total {
        return;
    }
    let first = (t % p.chunks) * p.chunk4;
    let last = min(first + p.chunk4, p.n4);
    let row = (t / p.chunks) * p.n4;
    var acc = x[row + first];
    for (var k = first + 1u; k < last; k++) {
        acc = combine(acc, x[row + k]);
    }
    let pairs = combine(acc, acc.yxwz);
    y[t] = combine(pairs, pairs.zwxy).x * p.scale;
}
