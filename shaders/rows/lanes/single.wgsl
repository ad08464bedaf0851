// Who works on a row: one invocation, so nothing has to be shared. Constant: GROUP, the rows of a workgroup.
const LANES = 1u;

fn own_row(group: u32, local: u32) -> u32 { return group * GROUP + local; }
fn own_lane(local: u32) -> u32 { return 0u; }
fn across(s: S, lane: u32) -> S { return s; }
