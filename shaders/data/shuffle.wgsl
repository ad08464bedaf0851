// The order of an epoch: order[i] = π(i), a pseudo-random permutation of 0 … n-1, or i itself if not shuffled.
// π is a Feistel network of ROUNDS rounds on numbers of 2·half bits, a permutation of 0 … 2^(2·half)-1 whatever its
// round function; where it leaves 0 … n-1 it is applied again until it comes back (cycle walking: Black and
// Rogaway 2002). So every index is computed alone, and no sort is needed. 2^(2·half) ≤ 4n: four walks on average.
// One invocation an index.
struct Params { first_group: u32, n: u32, half: u32, key: u32, epoch: u32, shuffled: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> order: array<u32>;

const ROUNDS = 8u;

fn permuted(value: u32) -> u32 {
    let mask = (1u << p.half) - 1u;
    var left = value >> p.half;
    var right = value & mask;
    for (var round = 0u; round < ROUNDS; round++) {
        let next = left ^ (random_u32(p.key, p.epoch * ROUNDS + round, right) & mask);
        left = right;
        right = next;
    }
    return (left << p.half) | right;
}

@compute @workgroup_size(WORKGROUP)
fn shuffle(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i >= p.n {
        return;
    }
    var at = i;
    if p.shuffled != 0u {
        at = permuted(at);
        while at >= p.n {
            at = permuted(at);
        }
    }
    order[i] = at;
}
