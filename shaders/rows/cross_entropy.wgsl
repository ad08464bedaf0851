// Cross-entropy of softmax(x) against class labels, with label smoothing ε, for each row:
//   target q_c = ε / cols + (1 - ε)·[c = label]
//   loss = -Σ q_c · ln softmax(x)_c = ln Σ e^(x_c - m) + (1 - ε)·(m - x_label) + (ε / cols)·Σ (m - x_c),   m = max x_c
//   dx_c = dloss · scale · (softmax(x)_c - q_c)
// x, dx: [rows, cols]; labels: [rows]; loss: [rows]; dloss: one value, the gradient of the rows' mean, with
// scale = 1 / rows. Every term of the loss is at least 0, so nothing cancels however large the logits are. A label that is no
// class gives a NaN loss and a NaN gradient of its row. One invocation a row.
// Uses: index, logarithm, special.
struct Params { first_group: u32, rows: u32, cols: u32, smoothing: f32, scale: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(0) @binding(4) var<storage, read> dloss: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;

struct Row { max: f32, sum: f32, below: f32 } // below: (ε / cols) · Σ (max - x)

fn row_sums(base: u32) -> Row {
    let share = p.smoothing / f32(p.cols);
    var row = Row(x[base], 0.0, 0.0);
    for (var c = 1u; c < p.cols; c++) {
        row.max = larger_f32(row.max, x[base + c]);
    }
    for (var c = 0u; c < p.cols; c++) {
        row.sum += exp(x[base + c] - row.max);
        row.below += share * (row.max - x[base + c]);
    }
    return row;
}

// A NaN that carries a label which is no class.
fn nan_of(label: u32) -> f32 {
    return bitcast<f32>(QUIET_NAN | (label & 0x3fffffu));
}

@compute @workgroup_size(WORKGROUP)
fn cross_entropy_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let r = thread_index(id, groups);
    if r >= p.rows {
        return;
    }
    let base = r * p.cols;
    let label = labels[r];
    if label >= p.cols {
        loss[r] = nan_of(label);
        return;
    }
    let row = row_sums(base);
    var value = ln(vec4<f32>(row.sum)).x + (1.0 - p.smoothing) * (row.max - x[base + label]);
    if p.smoothing > 0.0 {
        // Left out where it is nothing, or a logit of -inf would make 0 · inf of it.
        value += row.below;
    }
    loss[r] = value;
}

@compute @workgroup_size(WORKGROUP)
fn cross_entropy_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let r = thread_index(id, groups);
    if r >= p.rows {
        return;
    }
    let base = r * p.cols;
    let label = labels[r];
    let row = row_sums(base);
    let scale = select(dloss[0] * p.scale, nan_of(label), label >= p.cols);
    for (var c = 0u; c < p.cols; c++) {
        let q = p.smoothing / f32(p.cols) + select(0.0, 1.0 - p.smoothing, c == label);
        dx[base + c] = scale * (exp(x[base + c] - row.max) / row.sum - q);
    }
}
