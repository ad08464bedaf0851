// Max pooling over KH × KW windows, stride SH, SW, padding PH, PW (which never wins).
//   forward   y[p][oy][ox] = max over the window
//   backward  dx[p][iy][ix] = Σ dy over the windows whose winner is (iy, ix): each dx has one writer
// The mask says which pixel of each window was its first maximum, the winner: here by its flat index iy·W + ix. The forward
// pass writes it as mask_out.
// x, dx: [planes, H, W]; y, dy, mask: [planes, OH, OW]; constants give the sizes.
// One invocation an element of y (forward) or of dx (backward).
// Uses: index, special, window.
struct Params { first_group: u32, n: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> mask_out: array<u32>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
@group(0) @binding(5) var<storage, read> mask: array<u32>;
@group(0) @binding(6) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn max_pool2d_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i >= p.n {
        return;
    }
    let top = ((i / OW) % OH) * SH;
    let left = (i % OW) * SW;
    let plane = i / (OW * OH) * (H * W);
    // The least f32. One digit more rounds to the same value, but browsers refuse a literal that lies below it.
    var best = -3.40282346e+38;
    var best_at = H * W;
    for (var ky = 0u; ky < KH; ky++) {
        for (var kx = 0u; kx < KW; kx++) {
            // Subtracting the padding wraps below zero, so one comparison covers both edges.
            let iy = top + ky - PH;
            let ix = left + kx - PW;
            if iy < H && ix < W {
                let value = x[plane + iy * W + ix];
                // A NaN wins, so that a run that diverged shows it.
                if value > best || best_at == H * W || is_nan_f32(value) {
                    best = value;
                    best_at = iy * W + ix;
                }
            }
        }
    }
    y[i] = best;
    mask_out[i] = best_at;
}

@compute @workgroup_size(WORKGROUP)
fn max_pool2d_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i >= p.n {
        return;
    }
    let here = i % (H * W);
    let plane = i / (H * W) * (OH * OW);
    // The windows that contain this pixel: first_window(…) .. last_window(…) along each axis.
    let y_end = min((here / W + PH) / SH + 1u, OH);
    let x_end = min((here % W + PW) / SW + 1u, OW);
    var sum = 0.0;
    for (var oy = first_window(here / W + PH, KH, SH); oy < y_end; oy++) {
        for (var ox = first_window(here % W + PW, KW, SW); ox < x_end; ox++) {
            let o = plane + oy * OW + ox;
            if mask[o] == here {
                sum += dy[o];
            }
        }
    }
    dx[i] = sum;
}
