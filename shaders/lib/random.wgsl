// Shared: counter-based random numbers. The same (key, counter, index) gives the same word on every adapter,
// in any order, so nothing is stored and reruns repeat. Mixing: PCG's output permutation applied to a linear
// congruential step (M. O'Neill 2014; as a GPU hash: Jarzynski and Olano 2020), three rounds deep.
fn pcg(word: u32) -> u32 {
    let state = word * 747796405u + 2891336453u;
    let mixed = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (mixed >> 22u) ^ mixed;
}

fn random_u32(key: u32, counter: u32, index: u32) -> u32 {
    return pcg(pcg(pcg(key) ^ counter) ^ index);
}
