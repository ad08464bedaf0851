// A reduction of rows of units (elements, or vec4 of them), each to one state. Chosen files declare
//   S, the state, empty(), the state of nothing, and combine(a, b), that of two parts behind each other;
//   term(at, k, row), the state of unit k of a row, which lies at `at`; put(row, s), which finishes and stores a row's.
// Unit k of row r lies at p.offset + Σ indices of r · strides kept + Σ indices of k · strides reduced; kept and reduced hold of
// each axis, from the last to the first, its size and stride (constants KEPT and REDUCED: how many).
//   reduce         whole rows of n units
//   reduce_part    chunks of p.chunk units of longer rows: parts [chunks, rows] of states
//   reduce_parts   rows from their n parts
// p.length: elements of a row; p.scalar, p.index: numbers of the op, whose file says what they are. LANES invocations a row or
// chunk, in turns along it, as rows/lanes/* says. The order is fixed: each lane's own, then neighbouring lanes, then the parts
// as if they were units.
// Uses: divide.
struct Params {
    first_group: u32, rows: u32, n: u32, chunk: u32, chunks: u32, offset: u32, length: u32, scalar: f32, index: u32,
    kept: array<vec4<u32>, KEPT>, reduced: array<vec4<u32>, REDUCED>,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> parts: array<S>;
@group(0) @binding(2) var<storage, read> of_parts: array<S>;

fn kept_at(row: u32) -> u32 {
    var rest = row;
    var at = p.offset;
    for (var d = 0u; d < KEPT - 1u; d++) {
        let next = divide(rest, p.kept[d].x);
        at += (rest - next * p.kept[d].x) * p.kept[d].y;
        rest = next;
    }
    return at + rest * p.kept[KEPT - 1u].y;
}

fn reduced_at(k: u32) -> u32 {
    var rest = k;
    var at = 0u;
    for (var d = 0u; d < REDUCED - 1u; d++) {
        let next = divide(rest, p.reduced[d].x);
        at += (rest - next * p.reduced[d].x) * p.reduced[d].y;
        rest = next;
    }
    return at + rest * p.reduced[REDUCED - 1u].y;
}

fn state_of(row: u32, first: u32, last: u32, lane: u32) -> S {
    let base = kept_at(row);
    var s = empty();
    for (var k = first + lane; k < last; k += LANES) {
        s = combine(s, term(base + reduced_at(k), k, row));
    }
    return across(s, lane);
}

@compute @workgroup_size(GROUP)
fn reduce(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = own_row(group.x + group.y * groups.x + p.first_group, local);
    if row >= p.rows {
        return;
    }
    let s = state_of(row, 0u, p.n, own_lane(local));
    if own_lane(local) == 0u {
        put(row, s);
    }
}

@compute @workgroup_size(GROUP)
fn reduce_part(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32, @builtin(num_workgroups) groups: vec3<u32>) {
    let part = own_row(group.x + group.y * groups.x + p.first_group, local);
    if part >= p.rows * p.chunks {
        return;
    }
    let chunk = divide(part, p.rows);
    let s = state_of(part - chunk * p.rows, chunk * p.chunk, min((chunk + 1u) * p.chunk, p.n), own_lane(local));
    if own_lane(local) == 0u {
        parts[part] = s;
    }
}

@compute @workgroup_size(GROUP)
fn reduce_parts(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = own_row(group.x + group.y * groups.x + p.first_group, local);
    if row >= p.rows {
        return;
    }
    var s = empty();
    for (var k = own_lane(local); k < p.n; k += LANES) {
        s = combine(s, of_parts[k * p.rows + row]);
    }
    s = across(s, own_lane(local));
    if own_lane(local) == 0u {
        put(row, s);
    }
}
