// A texture's texels as a tensor, normalised: y[c, row, column] = scale[c] · texel(column, row)[c] + shift[c].
// y: [CHANNELS, height, width]. Formats that store sRGB are decoded, so their texels are linear.
// One invocation a texel. Constant: CHANNELS.
// Uses: index.
struct Params {
    first_group: u32, n: u32, width: u32,
    scale_r: f32, scale_g: f32, scale_b: f32, scale_a: f32,
    shift_r: f32, shift_g: f32, shift_b: f32, shift_a: f32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var x: texture_2d<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn texture_to_tensor(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i >= p.n {
        return;
    }
    let texel = textureLoad(x, vec2<u32>(i % p.width, i / p.width), 0);
    y[i] = texel.r * p.scale_r + p.shift_r;
    if CHANNELS > 1u {
        y[p.n + i] = texel.g * p.scale_g + p.shift_g;
        y[2u * p.n + i] = texel.b * p.scale_b + p.shift_b;
    }
    if CHANNELS > 3u {
        y[3u * p.n + i] = texel.a * p.scale_a + p.shift_a;
    }
}
