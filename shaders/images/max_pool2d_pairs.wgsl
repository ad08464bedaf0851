// Max pooling over 2 × 2 windows with stride 2, the common case, and perhaps a ReLU behind it, four windows at a time: whole
// vec4 are loaded and stored.
//   max_pool2d_pairs_forward   y[4i + j] = f(max of window j), f being ReLU where relu is 1
//   max_pool2d_pairs_backward  dx = dy where the pixel is its window's winner, 0 elsewhere
//   max_pool2d_pairs_sum       sum[plane] = the sum of a plane of dx, found from dy
// x, dx: [planes, 2 · OH, 2 · OW] by vec4; y, dy: [planes, OH, OW] by vec4, OW a multiple of 4; mask: the winners as
// pool_windows.wgsl says, a word for each vec4 of y; the forward pass writes it as mask_out.
// One invocation a vec4 of y or dy, or of the sum a plane.
// Uses: divide, index, pool_windows.
struct Params { first_group: u32, n4: u32, quads: u32, plane4: u32, relu: u32 } // vec4 of y, of its rows, of its planes
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> mask_out: array<u32>;
@group(0) @binding(4) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> mask: array<u32>;
@group(0) @binding(6) var<storage, read_write> dx: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> sum: array<f32>;

// The first of the two vec4 of a window row's upper pixels; the lower ones are 2 · quads further on.
fn upper(i: u32) -> u32 {
    let row = divide(i, p.quads);
    return row * 4u * p.quads + (i - row * p.quads) * 2u;
}

@compute @workgroup_size(WORKGROUP)
fn max_pool2d_pairs_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i >= p.n4 {
        return;
    }
    let at = upper(i);
    let u0 = x[at];
    let u1 = x[at + 1u];
    let l0 = x[at + 2u * p.quads];
    let l1 = x[at + 2u * p.quads + 1u];
    let four = pool(Pixels(
        vec4<f32>(u0.x, u0.z, u1.x, u1.z), vec4<f32>(u0.y, u0.w, u1.y, u1.w),
        vec4<f32>(l0.x, l0.z, l1.x, l1.z), vec4<f32>(l0.y, l0.w, l1.y, l1.w)), p.relu == 1u);
    y[i] = four.best;
    mask_out[i] = mask_of(four.winner);
}

@compute @workgroup_size(WORKGROUP)
fn max_pool2d_pairs_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i >= p.n4 {
        return;
    }
    let at = upper(i);
    let winner = winners_of(mask[i]);
    let g = dy[i];
    let zero = vec4<f32>(0.0);
    let a = select(zero, g, winner == vec4<u32>(0u));
    let b = select(zero, g, winner == vec4<u32>(1u));
    let c = select(zero, g, winner == vec4<u32>(2u));
    let d = select(zero, g, winner == vec4<u32>(3u));
    dx[at] = vec4<f32>(a.x, b.x, a.y, b.y);
    dx[at + 1u] = vec4<f32>(a.z, b.z, a.w, b.w);
    dx[at + 2u * p.quads] = vec4<f32>(c.x, d.x, c.y, d.y);
    dx[at + 2u * p.quads + 1u] = vec4<f32>(c.z, d.z, c.w, d.w);
}

@compute @workgroup_size(WORKGROUP)
fn max_pool2d_pairs_sum(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let plane = thread_index(id, groups);
    if plane * p.plane4 >= p.n4 {
        return;
    }
    var total = vec4<f32>(0.0);
    for (var i = plane * p.plane4; i < (plane + 1u) * p.plane4; i++) {
        total += select(dy[i], vec4<f32>(0.0), winners_of(mask[i]) == vec4<u32>(NONE));
    }
    sum[plane] = (total.x + total.y) + (total.z + total.w);
}
