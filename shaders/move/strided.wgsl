// Shared: where element i of a row-major tensor lies in a strided one. Constant: RANK, the number of axes.
// axes: of each axis, from the last to the first, its size and its stride (0 along an expanded axis).
// Uses: divide.
struct Params { first_group: u32, n: u32, offset: u32, axes: array<vec4<u32>, RANK> }
@group(0) @binding(0) var<uniform> p: Params;

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
