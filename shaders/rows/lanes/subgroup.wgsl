// Who works on a row: a workgroup that is one subgroup of GROUP invocations (a constant), whose states meet by shuffles.
const LANES = GROUP;

fn own_row(group: u32, local: u32) -> u32 { return group; }
fn own_lane(local: u32) -> u32 { return local; }

fn across(s: S, lane: u32) -> S {
    var all = s;
    for (var step = 1u; step < LANES; step *= 2u) {
        let other = subgroupShuffle(all, lane ^ step);
        // Both lanes combine in the same order, so that all come to the same bits.
        let is_second = (lane & step) != 0u;
        all = combine(select(all, other, is_second), select(other, all, is_second));
    }
    return all;
}
