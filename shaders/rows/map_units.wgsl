// The second half of map_rows.wgsl, where rows are too long or too few for it: each unit from what was settled of its row.
// One invocation a unit, count in all; in map_settled_rows a row, for many rows on a software adapter, whose loads are dear.
// Uses: divide, index.
struct Params { first_group: u32, count: u32, n: u32, length: u32, scalar: f32, index: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> settled: array<R>;

@compute @workgroup_size(WORKGROUP)
fn map_units(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i >= p.count {
        return;
    }
    let row = divide(i, p.n);
    write(i, i - row * p.n, row, settled[row]);
}

@compute @workgroup_size(WORKGROUP)
fn map_settled_rows(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = thread_index(id, groups);
    if row >= p.count / p.n {
        return;
    }
    let r = settled[row];
    for (var k = 0u; k < p.n; k++) {
        write(row * p.n + k, k, row, r);
    }
}
