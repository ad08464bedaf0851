// Converts elements of one type to another: y[i] = To(x[i]), in quads.
// An f32 becomes one of the two f16 next to it; beyond 65504 it becomes infinity or 65504, as the adapter likes.
// One invocation converts four elements. Aliases: From and To, vec4 each.
// Uses: index.
struct Params { first_group: u32, quads: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<From>;
@group(0) @binding(2) var<storage, read_write> y: array<To>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if (i < p.quads) {
        y[i] = To(x[i]);
    }
}
