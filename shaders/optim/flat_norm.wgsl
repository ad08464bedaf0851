// The 2-norm of values in several flat buffers: √Σ a².
//   flat_norm_part  part[first + t] = Σ a² over every count-th vec4 of one buffer's n, from t on; an invocation a part
//   flat_norm       norm = √Σ part over n parts, by one workgroup
// blocks: the parameter that each 64 floats of a belong to; ends: where its values end in a, in floats. The order of the sums
// depends on the sizes only.
// Uses: index.
struct Params { first_group: u32, n: u32, first: u32, count: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> part: array<f32>;
@group(0) @binding(3) var<storage, read> parts: array<f32>;
@group(0) @binding(4) var<storage, read_write> norm: array<f32>;
@group(0) @binding(5) var<storage, read> blocks: array<u32>;
@group(0) @binding(6) var<storage, read> ends: array<u32>;
var<workgroup> sums: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn flat_norm_part(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let t = thread_index(id, groups);
    if t >= p.count {
        return;
    }
    var sum = vec4<f32>();
    for (var i = t; i < p.n; i += p.count) {
        let is_value = i * 4u + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(ends[blocks[i / 16u]]);
        let x = select(vec4<f32>(), a[i], is_value);
        sum += x * x;
    }
    part[p.first + t] = (sum.x + sum.y) + (sum.z + sum.w);
}

@compute @workgroup_size(WORKGROUP)
fn flat_norm(@builtin(local_invocation_index) t: u32) {
    var sum = 0.0;
    for (var i = t; i < p.n; i += WORKGROUP) {
        sum += parts[i];
    }
    sums[t] = sum;
    workgroupBarrier();
    if t == 0u {
        for (var i = 1u; i < WORKGROUP; i++) {
            sum += sums[i];
        }
        norm[0] = sqrt(sum);
    }
}
