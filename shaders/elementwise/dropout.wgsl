// Dropout: y = x · mask, the mask being 1 / (1 - rate) where the element is kept and 0 elsewhere, so that NaN and infinity
// become NaN even where they are dropped; the backward pass is the same kernel on dy with the same key and counter, so no
// mask is stored. An element is kept if its random word is at least `threshold` = rate · 2³².  x, y: [n]. One
// invocation an element.
// Uses: index, random.
struct Params { first_group: u32, n: u32, key: u32, counter: u32, threshold: u32, scale: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn dropout(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i < p.n {
        y[i] = x[i] * select(0.0, p.scale, random_u32(p.key, p.counter, i) >= p.threshold);
    }
}
