// The order of an epoch: order[i] = π(i), a pseudo-random permutation of 0 … n-1, or i itself after no rounds.
// π is a swap-or-not network (Hoang, Morris and Rogaway 2012): each round draws a number K of 0 … n-1, which pairs every
// x with K - x modulo n, and swaps each pair or not by a bit of its own. A round is a permutation whatever its numbers
// are, so every index is computed alone and no sort is needed; any n will do, and orders of both parities come equally
// often. After r rounds a place is left as it was with a chance of 2⁻ʳ: after 32, the most there are, nothing of the old
// order shows.
// One invocation an index.
// Uses: index, random.
struct Params { first_group: u32, n: u32, key: u32, epoch: u32, rounds: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> order: array<u32>;

// Draws of an epoch.
const MOST_ROUNDS = 32u;

fn permuted(value: u32) -> u32 {
    var x = value;
    for (var round = 0u; round < p.rounds; round++) {
        let draw = p.epoch * MOST_ROUNDS + round;
        // A key of its own keeps the pairing apart from the bits.
        let k = random_u32(~p.key, draw, 0u) % p.n;
        let partner = select(p.n - (x - k), k - x, x <= k);
        if (random_u32(p.key, draw, max(x, partner)) >> 31u) == 1u {
            x = partner;
        }
    }
    return x;
}

@compute @workgroup_size(WORKGROUP)
fn shuffle(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i >= p.n {
        return;
    }
    order[i] = permuted(i);
}
