// Batch normalisation of the channels of x [n, C, plane], with an optional ReLU:
//   m, v  = mean and biased variance of the channel; in evaluation (TRAINING = 0) its running estimates
//   x̂ = (x - m) · r,  r = 1 / √(v + eps);   y = weight · x̂ + bias, with RELU = 1 its positive part
//   running mean, variance ← (1 - momentum) · old + momentum · new, with the unbiased variance; batches ← + 1
// Gradients, with g = dy where y > 0 (or no ReLU), found again from x so that no mask is stored, and k values a channel:
//   dbias = Σ g;  dweight = Σ g·x̂;  dx = weight · r · (g - dbias / k - x̂ · dweight / k);  in evaluation weight · r · g
// x, y, dy, dx by X, which is a vec4 where planes are whole vec4; stats: m and r of each channel, for the gradient.
// LANES invocations a channel, in turns along it: lanes_*.wgsl says who, and adds up what they found.
// count: X in a channel. Constants: C, PLANE (X in a plane), RELU and TRAINING.
struct Params { first_group: u32, count: u32, eps: f32, momentum: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> running_var: array<f32>;
@group(0) @binding(6) var<storage, read_write> batches: array<f32>;
@group(0) @binding(7) var<storage, read_write> stats: array<vec2<f32>>;
@group(0) @binding(8) var<storage, read_write> y: array<X>;
@group(0) @binding(9) var<storage, read> saved: array<vec2<f32>>;
@group(0) @binding(10) var<storage, read> dy: array<X>;
@group(0) @binding(11) var<storage, read_write> dweight: array<f32>;
@group(0) @binding(12) var<storage, read_write> dbias: array<f32>;
@group(0) @binding(13) var<storage, read_write> dx: array<X>;

// X that are held in registers while their mean is found.
const BLOCK = 8u;

fn place(c: u32, i: u32) -> u32 {
    return (i / PLANE * C + c) * PLANE + i % PLANE;
}

// Mean, and sum of squared differences from it, of a channel. Each lane and component keeps its own pair, block after
// block, by Chan's formulas: squares of differences don't cancel, however far the mean lies from 0, and x is read once.
fn moments(c: u32, lane: u32, count: u32) -> vec2<f32> {
    var mean = X(0.0);
    var squares = X(0.0);
    let blocks = count / (LANES * BLOCK);
    for (var k = 0u; k < blocks; k++) {
        var values = array<X, BLOCK>();
        var block_mean = X(0.0);
        for (var b = 0u; b < BLOCK; b++) {
            values[b] = x[place(c, (k * BLOCK + b) * LANES + lane)];
            block_mean += values[b];
        }
        block_mean /= f32(BLOCK);
        let share = 1.0 / f32(k + 1u);
        let shift = block_mean - mean;
        mean += shift * share;
        squares += shift * shift * (f32(k * BLOCK) * share);
        for (var b = 0u; b < BLOCK; b++) {
            squares += (values[b] - block_mean) * (values[b] - block_mean);
        }
    }
    var n = f32(blocks * BLOCK);
    for (var i = blocks * BLOCK * LANES + lane; i < count; i += LANES) {
        n += 1.0;
        let shift = x[place(c, i)] - mean;
        mean += shift / n;
        squares += shift * (x[place(c, i)] - mean);
    }
    // The moments of all lanes and components from their own.
    let all = sum_lanes(vec2<f32>(total(mean) * n, n * f32(WIDTH)), lane);
    let centre = all.x / max(all.y, 1.0);
    let spread = sum_lanes(vec2<f32>(total(squares) + n * total((mean - centre) * (mean - centre)), 0.0), lane);
    return vec2<f32>(centre, spread.x);
}

// What an invocation does: its channel, its place among the lanes, how many X of the channel there are for them, and
// whether it writes what is one to a channel. Lanes without a channel have nothing to visit, but stay, since barriers
// want all.
struct Turn { c: u32, lane: u32, count: u32, writes: bool }

fn turn(group: vec3<u32>, groups: vec3<u32>, local: u32) -> Turn {
    let at = own(p.first_group + group.y * groups.x + group.x, local);
    let exists = at.channel < C;
    return Turn(min(at.channel, C - 1u), at.lane, select(0u, p.count, exists), at.lane == 0u && exists);
}

// Mean and 1 / deviation to normalise a channel by. Keeps them, and moves the running estimates in training.
fn statistics(t: Turn) -> vec2<f32> {
    let c = t.c;
    var mean = running_mean[c];
    var variance = running_var[c];
    if TRAINING == 1u {
        let n = f32(p.count * WIDTH);
        let found = moments(c, t.lane, t.count);
        if t.writes {
            running_mean[c] = mix(mean, found.x, p.momentum);
            running_var[c] = mix(variance, found.y / (n - 1.0), p.momentum);
            if c == 0u {
                batches[0] += 1.0;
            }
        }
        mean = found.x;
        variance = found.y / n;
    }
    let r = 1.0 / sqrt(variance + p.eps);
    if t.writes {
        stats[c] = vec2<f32>(mean, r);
    }
    return vec2<f32>(mean, r);
}

@compute @workgroup_size(GROUP)
fn batch_norm_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let t = turn(group, groups, local);
    let c = t.c;
    let s = statistics(t);
    let scale = weight[c] * s.y;
    for (var i = t.lane; i < t.count; i += LANES) {
        let value = (x[place(c, i)] - s.x) * scale + bias[c];
        y[place(c, i)] = select(value, select(value, X(0.0), is_stopped(value)), RELU == 1u);
    }
}

// Keeps a channel's dbias and dweight, and returns their means, which dx lacks; in evaluation none.
fn shares(t: Turn, sum: X, products: X) -> vec2<f32> {
    let sums = sum_lanes(vec2<f32>(total(sum), total(products)), t.lane);
    if t.writes {
        dbias[t.c] = sums.x;
        dweight[t.c] = sums.y;
    }
    return select(vec2<f32>(0.0), sums / f32(p.count * WIDTH), TRAINING == 1u);
}

// dy where the ReLU let x̂ pass.
fn masked(g: X, normal: X, w: f32, b: f32) -> X {
    return select(g, select(g, X(0.0), is_stopped(normal * w + b)), RELU == 1u);
}

@compute @workgroup_size(GROUP)
fn batch_norm_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let t = turn(group, groups, local);
    let c = t.c;
    let mean = saved[c].x;
    let r = saved[c].y;
    let w = weight[c];
    let b = bias[c];
    var sum = X(0.0);
    var products = X(0.0);
    for (var i = t.lane; i < t.count; i += LANES) {
        let normal = (x[place(c, i)] - mean) * r;
        let g = masked(dy[place(c, i)], normal, w, b);
        sum += g;
        products += g * normal;
    }
    let share = shares(t, sum, products);
    for (var i = t.lane; i < t.count; i += LANES) {
        let normal = (x[place(c, i)] - mean) * r;
        let g = masked(dy[place(c, i)], normal, w, b);
        dx[place(c, i)] = w * r * (g - share.x - normal * share.y);
    }
}
