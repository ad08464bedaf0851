// Arithmetic in place on values that are laid out like parameters, such as gradients: a has n vec4s.
//   flat_add      a = a + alpha·b           flat_scale  a = alpha·a      flat_clamp  a within ±alpha, NaN stays
//   flat_lerp     a = a + alpha·(b - a), as torch.lerp: where a is b it stays, and with alpha 1 it becomes b, to the bit
//   flat_clip     a = a · min(1, alpha / (norm + 1e-6)), PyTorch's clip_grad_norm_
//   flat_penalty  a = a + alpha·sign b + beta·b, where there is a value
//   flat_fill     a = alpha                 flat_keep   a
// In paddings, where there is no value, flat_fill and flat_keep write 0, flat_penalty leaves what is there, and the others
// leave anything. blocks tells the parameter that each 64 floats of a belong to, and ends where its values end in a, in floats,
// or 0. One invocation a vec4.
// Uses: index.
struct Params { first_group: u32, n: u32, alpha: f32, beta: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> norm: array<f32>;
@group(0) @binding(4) var<storage, read> blocks: array<u32>;
@group(0) @binding(5) var<storage, read> ends: array<u32>;

fn is_value(i: u32) -> vec4<bool> {
    return i * 4u + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(ends[blocks[i / 16u]]);
}

@compute @workgroup_size(WORKGROUP)
fn flat_add(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i < p.n {
        a[i] += p.alpha * b[i];
    }
}

@compute @workgroup_size(WORKGROUP)
fn flat_lerp(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i < p.n {
        let difference = b[i] - a[i];
        // Each is exact at its own end.
        if p.alpha < 0.5 {
            a[i] += p.alpha * difference;
        } else {
            a[i] = b[i] - (1.0 - p.alpha) * difference;
        }
    }
}

@compute @workgroup_size(WORKGROUP)
fn flat_scale(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i < p.n {
        a[i] *= p.alpha;
    }
}

@compute @workgroup_size(WORKGROUP)
fn flat_clamp(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i < p.n {
        // Not by clamp(), which may take a limit for a NaN.
        let most = vec4<f32>(p.alpha);
        let x = a[i];
        a[i] = select(select(x, most, x > most), -most, x < -most);
    }
}

@compute @workgroup_size(WORKGROUP)
fn flat_clip(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i < p.n {
        // A norm of NaN makes all NaN, as in PyTorch.
        let factor = p.alpha / (norm[0] + 1e-6);
        a[i] *= select(factor, 1.0, factor > 1.0);
    }
}

@compute @workgroup_size(WORKGROUP)
fn flat_penalty(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i < p.n {
        a[i] += select(vec4<f32>(), p.alpha * sign(b[i]) + p.beta * b[i], is_value(i));
    }
}

@compute @workgroup_size(WORKGROUP)
fn flat_fill(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i < p.n {
        a[i] = select(vec4<f32>(), vec4<f32>(p.alpha), is_value(i));
    }
}

@compute @workgroup_size(WORKGROUP)
fn flat_keep(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i < p.n {
        a[i] = select(vec4<f32>(), a[i], is_value(i));
    }
}
