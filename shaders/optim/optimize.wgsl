// An optimizer's step over one flat buffer of parameters. The file chosen declares, for its formula,
//   struct Scalars { .. }    f32 numbers that the host computes for each parameter
//   bindings from 5 on       its state, laid out like w and named as the host names it
//   fn update(i, w, grad, s: Scalars) -> vec4<f32>    the new value of w's vec4 i, and writes its state there
// blocks: the parameter that each 64 floats of w belong to; parameters: where it ends in w, in floats, 0 if it stays as
// it is, and its scalars. w: n vec4s, with padding behind each parameter that stays 0. One invocation for EACH vec4s, which are
// of one block: EACH divides 16.
// Uses: index.
struct Params { first_group: u32, n: u32 }
struct Parameter { end: u32, scalars: Scalars }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> blocks: array<u32>;
@group(0) @binding(2) var<storage, read> parameters: array<Parameter>;
@group(0) @binding(3) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> w: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn optimize(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let first = thread_index(id, groups) * EACH;
    if first >= p.n {
        return;
    }
    let parameter = parameters[blocks[first / 16u]];
    for (var i = first; i < first + EACH; i++) {
        let is_value = i * 4u + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(parameter.end);
        if !is_value.x {
            return;
        }
        let before = w[i];
        let after = update(i, before, select(vec4<f32>(), grad[i], is_value), parameter.scalars);
        w[i] = select(before, after, is_value);
    }
}
