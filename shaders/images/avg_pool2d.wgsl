// Average pooling over KH × KW windows, stride SH, SW, padding PH, PW counted as zeros (as PyTorch's default).
//   forward   y[p][oy][ox] = Σ window / (KH·KW)
//   backward  dx[p][iy][ix] = Σ dy over the windows that contain (iy, ix) / (KH·KW)
// x, dx: [planes, H, W]; y, dy: [planes, OH, OW]; constants give the sizes.
// One invocation an element of y (forward) or of dx (backward).
// Uses: index, window.
struct Params { first_group: u32, n: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

const SCALE = 1.0 / f32(KH * KW);

@compute @workgroup_size(WORKGROUP)
fn avg_pool2d_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i >= p.n {
        return;
    }
    let top = ((i / OW) % OH) * SH;
    let left = (i % OW) * SW;
    let plane = i / (OW * OH) * (H * W);
    var sum = 0.0;
    for (var ky = 0u; ky < KH; ky++) {
        for (var kx = 0u; kx < KW; kx++) {
            // Subtracting the padding wraps below zero, so one comparison covers both edges.
            let iy = top + ky - PH;
            let ix = left + kx - PW;
            if iy < H && ix < W {
                sum += x[plane + iy * W + ix];
            }
        }
    }
    y[i] = sum * SCALE;
}

@compute @workgroup_size(WORKGROUP)
fn avg_pool2d_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i >= p.n {
        return;
    }
    let here = i % (H * W);
    let plane = i / (H * W) * (OH * OW);
    let y_end = min((here / W + PH) / SH + 1u, OH);
    let x_end = min((here % W + PW) / SW + 1u, OW);
    var sum = 0.0;
    for (var oy = first_window(here / W + PH, KH, SH); oy < y_end; oy++) {
        for (var ox = first_window(here % W + PW, KW, SW); ox < x_end; ox++) {
            sum += dy[plane + oy * OW + ox];
        }
    }
    dx[i] = sum * SCALE;
}
