// Batch norm, ReLU and max pooling over 2 × 2 windows in one: as batch_norm.wgsl, whose bindings and functions these are,
// with y and dy [n, C, PLANE / 4] in X = vec4. The normalised image is never written: the gradient finds it again from x,
// and with it which pixel of each window was its first maximum.
// Four windows at a time, as in max_pool2d_pairs.wgsl; constant: OW, y's width, a multiple of 4.
// Uses: batch_norm, images/pool_windows, relu_if, special.
const QUADS = OW / 4u;
const OUT = PLANE / 4u;

fn out_place(c: u32, i: u32) -> u32 {
    return (i / OUT * C + c) * OUT + i % OUT;
}

// The first of the two vec4 of a window row's upper pixels; the lower ones are 2 · QUADS further on.
fn upper(o: u32) -> u32 {
    return (o / QUADS) * 4u * QUADS + o % QUADS * 2u;
}

fn pixels_less_mean(at: u32, mean: f32) -> Pixels {
    let u0 = x[at] - mean;
    let u1 = x[at + 1u] - mean;
    let l0 = x[at + 2u * QUADS] - mean;
    let l1 = x[at + 2u * QUADS + 1u] - mean;
    return Pixels(
        vec4<f32>(u0.x, u0.z, u1.x, u1.z),
        vec4<f32>(u0.y, u0.w, u1.y, u1.w),
        vec4<f32>(l0.x, l0.z, l1.x, l1.z),
        vec4<f32>(l0.y, l0.w, l1.y, l1.w),
    );
}

@compute @workgroup_size(GROUP)
fn batch_norm_pool_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let t = turn(group, groups, local);
    let c = t.c;
    let s = statistics(t);
    let scale = weight[c] * s.y;
    for (var i = t.lane; i < t.count / 4u; i += LANES) {
        let o = out_place(c, i);
        let v = pixels_less_mean(upper(o), s.x);
        // A negative scale makes the least pixel the greatest.
        let best = larger(larger(v[0] * scale, v[1] * scale), larger(v[2] * scale, v[3] * scale)) + bias[c];
        y[o] = relu_if(best, RELU == 1u);
    }
}

// What reaches each pixel of the window from dy, the normalised pixels in x̂: all of it the first maximum, or a NaN.
fn unpooled(normal: Pixels, g: vec4<f32>, w: f32, b: f32) -> Pixels {
    let v = Pixels(normal[0] * w + b, normal[1] * w + b, normal[2] * w + b, normal[3] * w + b);
    let winner = pool(v, RELU == 1u).winner;
    var out = Pixels();
    for (var k = 0u; k < 4u; k++) {
        out[k] = select(vec4<f32>(), g, winner == vec4<u32>(k));
    }
    return out;
}

@compute @workgroup_size(GROUP)
fn batch_norm_pool_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let t = turn(group, groups, local);
    let c = t.c;
    let s = saved[c];
    let w = weight[c];
    var sum = vec4<f32>(0.0);
    var products = vec4<f32>(0.0);
    for (var i = t.lane; i < t.count / 4u; i += LANES) {
        let o = out_place(c, i);
        let v = pixels_less_mean(upper(o), s.x);
        let normal = Pixels(v[0] * s.y, v[1] * s.y, v[2] * s.y, v[3] * s.y);
        let g = unpooled(normal, dy[o], w, bias[c]);
        sum += (g[0] + g[1]) + (g[2] + g[3]);
        products += (g[0] * normal[0] + g[1] * normal[1]) + (g[2] * normal[2] + g[3] * normal[3]);
    }
    let share = shares(t, sum, products);
    for (var i = t.lane; i < t.count / 4u; i += LANES) {
        let o = out_place(c, i);
        let v = pixels_less_mean(upper(o), s.x);
        let normal = Pixels(v[0] * s.y, v[1] * s.y, v[2] * s.y, v[3] * s.y);
        var g = unpooled(normal, dy[o], w, bias[c]);
        for (var k = 0u; k < 4u; k++) {
            g[k] = w * s.y * (g[k] - share.x - normal[k] * share.y);
        }
        let to = upper(o);
        dx[to] = vec4<f32>(g[0].x, g[1].x, g[0].y, g[1].y);
        dx[to + 1u] = vec4<f32>(g[0].z, g[1].z, g[0].w, g[1].w);
        dx[to + 2u * QUADS] = vec4<f32>(g[2].x, g[3].x, g[2].y, g[3].y);
        dx[to + 2u * QUADS + 1u] = vec4<f32>(g[2].z, g[3].z, g[2].w, g[3].w);
    }
}
