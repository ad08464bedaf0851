// Which parts of a convolution Winograd's transforms would get wrong, and which winograd_direct and winograd_weight_grad_direct
// compute anew. A transform mixes all values of a tile, so that an infinity or NaN reaches outputs that don't see it, and a
// value far beyond its neighbours leaves its rounding error there.
//   A tile's window of 6 × 6 pixels falls into four blocks of 3 × 3, which the outputs in its corners see: what is large in one
// block and seen by one output is not seen by the others. So a quad of tiles is found where, over all channels together, a
// block of a tile has more than WIDE times the sum of another one that is not 0. That is so at the edge of a blank background
// too, where the error drowns in what the rest of the layer gives: among many quads, the block must also have FAR times the
// mean of all.
//   summary_tiles[quad][channel] = (upper blocks, lower blocks) of four tiles
//   guard[quad] = (the largest block that outweighs another so, or 0; the sum of all); mean[0]: of all blocks of all quads,
//   mean[1]: 1 where a filter is odd
//   The weight gradient adds up all tiles, so what is large in one is seen by all taps, but at the border. The same holds of the
// weights of a filter. So a channel is found (is_odd) where one block outweighs the rest of it WIDE times.
//   summary[group][channel] = (largest block, sum of the others); guard_channel[chunk][channel]: the same, over a chunk of groups
// An infinity or NaN, or a sum beyond HUGE, is always found. Where nothing is, an output is off by at most 4e-6 of the larger of
// WIDE times what it adds up and FAR times what outputs add up in the mean.
// guard_tiles: one invocation a quad; guard_mean: one; guard_channels: one a channel and chunk of groups.
// Uses: index, winograd_odd, winograd_summary.
struct Params {
    first_group: u32,
    groups: u32, channels: u32,
    stride: u32, // words from group to group
    chunk: u32, // groups of a chunk
    filters: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> summary_tiles: array<array<vec4<u32>, 2>>;
@group(0) @binding(2) var<storage, read_write> guard: array<Seen>;
@group(0) @binding(3) var<storage, read> summary: array<u32>;
@group(0) @binding(4) var<storage, read_write> guard_channel: array<Seen>;
@group(0) @binding(5) var<storage, read> quads: array<Seen>; // what guard_tiles wrote
@group(0) @binding(6) var<storage, read_write> mean: array<f32>;
@group(0) @binding(7) var<storage, read> filters: array<Seen>; // what guard_channels wrote of them

// The smaller one, of those that are not 0.
fn least(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return select(min(a, b), max(a, b), min(a, b) == vec4<f32>());
}

@compute @workgroup_size(WORKGROUP)
fn guard_tiles(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let quad = thread_index(id, groups);
    if (quad >= p.groups) {
        return;
    }
    var sums: Blocks;
    for (var c = 0u; c < p.channels; c++) {
        let words = summary_tiles[quad * p.stride + c];
        sums[0] += high_of(words[0]);
        sums[1] += low_of(words[0]);
        sums[2] += high_of(words[1]);
        sums[3] += low_of(words[1]);
    }
    let most = peaks(sums);
    let fewest = least(least(sums[0], sums[1]), least(sums[2], sums[3]));
    let all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    var peak = 0u;
    for (var t = 0u; t < 4u; t++) {
        let found = is_beyond(most[t]) || (fewest[t] > 0.0 && bitcast<f32>(most[t]) > WIDE * fewest[t]);
        peak = max(peak, select(0u, most[t], found));
    }
    guard[quad] = Seen(peak, (all.x + all.y) + (all.z + all.w));
}

@compute @workgroup_size(1)
fn guard_mean() {
    // The first chunk stands for all.
    let count = min(p.groups, p.chunk);
    var sum = 0.0;
    for (var i = 0u; i < count; i++) {
        let seen = quads[i];
        sum += select(seen.rest, 0.0, is_beyond(bitcast<u32>(seen.rest)));
    }
    mean[0] = sum / f32(16u * count);
    var odd = 0.0;
    for (var i = 0u; i < p.filters; i++) {
        odd = max(odd, select(0.0, 1.0, is_odd(filters[i])));
    }
    mean[1] = odd;
}

@compute @workgroup_size(WORKGROUP)
fn guard_channels(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    let chunk = i / p.channels;
    let channel = i % p.channels;
    if (chunk * p.chunk >= p.groups) {
        return;
    }
    var seen: Seen;
    for (var g = chunk * p.chunk; g < min((chunk + 1u) * p.chunk, p.groups); g++) {
        let word = summary[g * p.stride + channel];
        seen = together(seen, Seen(word & 0xffff0000u, bitcast<f32>(word << 16u)));
    }
    guard_channel[i] = seen;
}
