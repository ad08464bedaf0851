// Max pooling over 2 × 2 windows with stride 2, the common case, four windows at a time: whole vec4 are loaded and
// stored, and which of a window's four pixels won is two bits of a word.
//   forward   y[4i + j] = max of window j;  code[i] bits 2j, 2j + 1 = its first maximum, row by row
//   backward  dx = dy where the pixel won, 0 elsewhere
// x, dx: [planes, 2 · OH, 2 · OW] by vec4; y, dy: [planes, OH, OW] by vec4, OW a multiple of 4; code: a word for each
// vec4 of y. The header gives OW. One invocation a vec4 of y or dy.
struct Params { first_group: u32, n4: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> code: array<u32>;
@group(0) @binding(4) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> won: array<u32>;
@group(0) @binding(6) var<storage, read_write> dx: array<vec4<f32>>;

const QUADS = OW / 4u;

// The first of the two vec4 of a window row's upper pixels; the lower ones are 2 · QUADS further on.
fn upper(i: u32) -> u32 {
    return (i / QUADS) * 4u * QUADS + i % QUADS * 2u;
}

// Whether a later pixel wins: if it is greater, or NaN, so that a run that diverged shows it. NaN is told by its bits,
// since compilers take a comparison with itself for true.
fn wins(later: vec4<f32>, best: vec4<f32>) -> vec4<bool> {
    return (later > best) | ((bitcast<vec4<u32>>(later) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u));
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
    let l0 = x[at + 2u * QUADS];
    let l1 = x[at + 2u * QUADS + 1u];
    // Each window's four pixels in row order; the first of equal ones wins.
    var best = vec4<f32>(u0.x, u0.z, u1.x, u1.z);
    var winner = vec4<u32>(0u);
    let right = vec4<f32>(u0.y, u0.w, u1.y, u1.w);
    winner = select(winner, vec4<u32>(1u), wins(right, best));
    best = select(best, right, wins(right, best));
    let below = vec4<f32>(l0.x, l0.z, l1.x, l1.z);
    winner = select(winner, vec4<u32>(2u), wins(below, best));
    best = select(best, below, wins(below, best));
    let last = vec4<f32>(l0.y, l0.w, l1.y, l1.w);
    winner = select(winner, vec4<u32>(3u), wins(last, best));
    y[i] = select(best, last, wins(last, best));
    code[i] = winner.x | (winner.y << 2u) | (winner.z << 4u) | (winner.w << 6u);
}

@compute @workgroup_size(WORKGROUP)
fn max_pool2d_pairs_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i >= p.n4 {
        return;
    }
    let at = upper(i);
    let word = won[i];
    let winner = vec4<u32>(word & 3u, (word >> 2u) & 3u, (word >> 4u) & 3u, (word >> 6u) & 3u);
    let g = dy[i];
    let zero = vec4<f32>(0.0);
    let a = select(zero, g, winner == vec4<u32>(0u));
    let b = select(zero, g, winner == vec4<u32>(1u));
    let c = select(zero, g, winner == vec4<u32>(2u));
    let d = select(zero, g, winner == vec4<u32>(3u));
    dx[at] = vec4<f32>(a.x, b.x, a.y, b.y);
    dx[at + 1u] = vec4<f32>(a.z, b.z, a.w, b.w);
    dx[at + 2u * QUADS] = vec4<f32>(c.x, d.x, c.y, d.y);
    dx[at + 2u * QUADS + 1u] = vec4<f32>(c.z, d.z, c.w, d.w);
}
