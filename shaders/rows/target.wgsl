// Shared by cross_entropy.wgsl and its gradient: logits x by units V, the labels, and which of them count. Constant: IGNORE,
// whether one is ignored; p.index has its bits.
@group(0) @binding(3) var<storage, read> x: array<V>;
@group(0) @binding(4) var<storage, read> labels: array<i32>;

fn is_ignored(label: i32) -> bool { return IGNORE == 1u && bitcast<u32>(label) == p.index; }

// A NaN that carries a label which is no class.
fn nan_of(label: i32) -> f32 { return float_of(QUIET_NAN | (bitcast<u32>(label) & 0x3fffffu)); }
