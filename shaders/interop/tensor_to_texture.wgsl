// A tensor as a texture's texels: texel(column, row)[c] = scale[c] · x[c, row, column] + shift[c].
// x: [CHANNELS, height, width]; one channel gives grey, and without a fourth the texels are opaque. The format rounds,
// and clamps where it has a range.
// One invocation a texel. Constant: CHANNELS. Alias: Target, a storage texture to write.
// Uses: index.
struct Params {
    first_group: u32, n: u32, width: u32,
    scale_r: f32, scale_g: f32, scale_b: f32, scale_a: f32,
    shift_r: f32, shift_g: f32, shift_b: f32, shift_a: f32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var y: Target;

@compute @workgroup_size(WORKGROUP)
fn tensor_to_texture(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i >= p.n {
        return;
    }
    let r = x[i] * p.scale_r + p.shift_r;
    var texel = vec4<f32>(r, r, r, 1.0);
    if CHANNELS > 1u {
        texel.g = x[p.n + i] * p.scale_g + p.shift_g;
        texel.b = x[2u * p.n + i] * p.scale_b + p.shift_b;
    }
    if CHANNELS > 3u {
        texel.a = x[3u * p.n + i] * p.scale_a + p.shift_a;
    }
    textureStore(y, vec2<u32>(i % p.width, i / p.width), texel);
}
