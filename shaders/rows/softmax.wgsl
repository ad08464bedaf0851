// Softmax over rows, shifted by the row's maximum m so that e^x cannot overflow; s = Σ e^(x - m).
//   softmax      y = e^(x - m) / s        dx = y · (dy - Σ dy·y)
//   log softmax  y = (x - m) - ln s       dx = dy - e^y · Σ dy
// A row with a NaN or +infinity is NaN. x, y, dy, dx: [rows, cols] row-major. One invocation a row.
// Uses: index, logarithm, special.
struct Params { first_group: u32, rows: u32, cols: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> y: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;

struct Row { max: f32, sum: f32 }

fn row_sum(base: u32) -> Row {
    var row = Row(x[base], 0.0);
    for (var c = 1u; c < p.cols; c++) {
        row.max = larger_f32(row.max, x[base + c]);
    }
    for (var c = 0u; c < p.cols; c++) {
        row.sum += exp(x[base + c] - row.max);
    }
    return row;
}

@compute @workgroup_size(WORKGROUP)
fn softmax_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let r = thread_index(id, groups);
    if r >= p.rows {
        return;
    }
    let row = row_sum(r * p.cols);
    for (var c = 0u; c < p.cols; c++) {
        out[r * p.cols + c] = exp(x[r * p.cols + c] - row.max) / row.sum;
    }
}

@compute @workgroup_size(WORKGROUP)
fn log_softmax_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let r = thread_index(id, groups);
    if r >= p.rows {
        return;
    }
    let row = row_sum(r * p.cols);
    let log_sum = ln(vec4<f32>(row.sum)).x;
    for (var c = 0u; c < p.cols; c++) {
        out[r * p.cols + c] = (x[r * p.cols + c] - row.max) - log_sum;
    }
}

@compute @workgroup_size(WORKGROUP)
fn softmax_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let r = thread_index(id, groups);
    if r >= p.rows {
        return;
    }
    let base = r * p.cols;
    var dot = 0.0;
    for (var c = 0u; c < p.cols; c++) {
        dot += dy[base + c] * y[base + c];
    }
    for (var c = 0u; c < p.cols; c++) {
        dx[base + c] = y[base + c] * (dy[base + c] - dot);
    }
}

@compute @workgroup_size(WORKGROUP)
fn log_softmax_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let r = thread_index(id, groups);
    if r >= p.rows {
        return;
    }
    let base = r * p.cols;
    var sum = 0.0;
    for (var c = 0u; c < p.cols; c++) {
        sum += dy[base + c];
    }
    for (var c = 0u; c < p.cols; c++) {
        dx[base + c] = dy[base + c] - exp(y[base + c]) * sum;
    }
}
