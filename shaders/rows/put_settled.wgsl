// The first half of map_rows.wgsl as a reduction: stores what is settled of each row.
@group(0) @binding(7) var<storage, read_write> settled_rows: array<R>;
fn put(row: u32, s: S) { settled_rows[row] = settle(s, row); }
