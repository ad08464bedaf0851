// Rows in, rows out: y's units from x's and from one state of the whole row. Chosen files declare S, empty, combine and term as
// for reduce.wgsl; R and settle(s, row), what is made of the state; write(at, k, row, r), which writes unit k of the row; and
// keep(row, r), which stores what the gradient needs. Contiguous rows of n units; p.length: elements of a row;
// p.scalar, p.index: numbers of the op, whose file says what they are. LANES invocations a row, in turns along it, as
// lanes/*.wgsl says.
struct Params { first_group: u32, rows: u32, n: u32, length: u32, scalar: f32, index: u32 }
@group(0) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(GROUP)
fn map_rows(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = own_row(group.x + group.y * groups.x + p.first_group, local);
    if row >= p.rows {
        return;
    }
    let lane = own_lane(local);
    var s = empty();
    for (var k = lane; k < p.n; k += LANES) {
        s = combine(s, term(row * p.n + k, k, row));
    }
    let r = settle(across(s, lane), row);
    for (var k = lane; k < p.n; k += LANES) {
        write(row * p.n + k, k, row, r);
    }
    if lane == 0u {
        keep(row, r);
    }
}
