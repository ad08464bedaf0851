// Shared: where element i of a row-major order lies among strided elements. Constant: RANK, the number of axes.
// p.axes: of each axis, from the last to the first, its size and its stride (0 along an expanded axis); p.offset: the first.
// Uses: divide.
fn strided(i: u32) -> u32 {
    var rest = i;
    var at = p.offset;
    for (var d = 0u; d < RANK - 1u; d++) {
        let next = divide(rest, p.axes[d].x);
        at += (rest - next * p.axes[d].x) * p.axes[d].y;
        rest = next;
    }
    // What is left is the index along the first axis.
    return at + rest * p.axes[RANK - 1u].y;
}
