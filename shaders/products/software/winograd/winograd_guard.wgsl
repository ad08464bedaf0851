// Which parts of a convolution Winograd's transforms would get wrong, and which are computed anew by winograd_direct and
// winograd_weight_grad_direct. A transform mixes all values of a tile, so that an infinity or NaN reaches outputs that don't
// see it, and a value far beyond its neighbours leaves its rounding error there.
//   summary[group][channel]: of the tiles of a group (in one channel), the largest magnitude and the mean of the fourth roots of
//     the magnitudes that are not 0, two bf16 in a word (winograd_summary.wgsl): a mean that a few outliers hardly move
//   limit[group] = min(WIDE · m⁴, HUGE), m the mean over the channels of a group: no value may be larger
//   guard[group] = (1 where one is larger, the bits of the limit)
//   guard_channel[chunk][channel] = 1 where a group of the chunk has a larger value in this channel
// Within the limit, an output is off by at most some 4e-6 · Σ |w| · max(what it sees, WIDE · m⁴).
// guard_groups: one invocation a group; guard_channels: one a channel and chunk of groups. Needs index.wgsl.
struct Params {
    first_group: u32,
    groups: u32, channels: u32,
    stride: u32, // words from group to group
    chunk: u32, // groups of a chunk
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> summary: array<u32>;
@group(0) @binding(2) var<storage, read_write> guard: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read> limits: array<vec2<u32>>; // what guard_groups wrote
@group(0) @binding(4) var<storage, read_write> guard_channel: array<u32>;

const WIDE = 512.0;
const HUGE = 1e30; // the transforms multiply by up to 30 along the way

fn larger_than(word: u32, limit: f32) -> bool {
    // As bits, since these are the same for all magnitudes, and a NaN's are larger than any number's.
    return (word & 0xffff0000u) > bitcast<u32>(limit);
}

@compute @workgroup_size(WORKGROUP)
fn guard_groups(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let g = thread_index(id, groups);
    if (g >= p.groups) {
        return;
    }
    var largest = 0u;
    var roots = 0.0;
    var count = 0.0;
    for (var c = 0u; c < p.channels; c++) {
        let word = summary[g * p.stride + c];
        largest = max(largest, word);
        let root = bitcast<f32>(word << 16u);
        // An infinite mean is one that tells nothing.
        if (root > 0.0 && root < HUGE) {
            roots += root;
            count += 1.0;
        }
    }
    let mean = roots / max(count, 1.0);
    let limit = min(WIDE * mean * mean * mean * mean, HUGE);
    guard[g] = vec2<u32>(select(0u, 1u, larger_than(largest, limit)), bitcast<u32>(limit));
}

@compute @workgroup_size(WORKGROUP)
fn guard_channels(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    let chunk = i / p.channels;
    let channel = i % p.channels;
    if (chunk * p.chunk >= p.groups) {
        return;
    }
    var found = 0u;
    for (var g = chunk * p.chunk; g < min((chunk + 1u) * p.chunk, p.groups); g++) {
        found |= select(0u, 1u, larger_than(summary[g * p.stride + channel], bitcast<f32>(limits[g].y)));
    }
    guard_channel[i] = found;
}
