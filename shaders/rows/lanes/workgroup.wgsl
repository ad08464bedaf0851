// Who works on a row: a workgroup of GROUP invocations (a constant, a power of two), whose states meet in its memory.
const LANES = GROUP;

fn own_row(group: u32, local: u32) -> u32 { return group; }
fn own_lane(local: u32) -> u32 { return local; }

var<workgroup> shared_states: array<S, GROUP>;

fn across(s: S, lane: u32) -> S {
    shared_states[lane] = s;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            shared_states[lane] = combine(shared_states[lane], shared_states[lane + half]);
        }
    }
    workgroupBarrier();
    return shared_states[0];
}
