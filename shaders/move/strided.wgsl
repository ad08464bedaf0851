// Shared: where element i of a row-major tensor of shape DIMS lies in a strided one.
fn strided(i: u32) -> u32 {
    var rest = i;
    var at = p.offset;
    for (var d = RANK; d > 0u; d--) {
        at += (rest % DIMS[d - 1u]) * STRIDES[d - 1u];
        rest /= DIMS[d - 1u];
    }
    return at;
}
