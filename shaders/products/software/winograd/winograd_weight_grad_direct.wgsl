// The filters' gradients that the guard found (winograd_guard.wgsl), as direct sums over images first … last - 1:
//   dw[oc][ic][ky][kx] = Σ over images, y, x of dy[oc][y][x] · x[ic][y + ky - 1][x + kx - 1]
// over what Winograd's transforms wrote if `first` is 0, and added to it otherwise: so no launch loops too long.
// One invocation makes a filter, or has nothing to do.
// Uses: index, winograd_odd.
struct Params {
    first_group: u32,
    first: u32, last: u32, c_in: u32, c_out: u32, h: u32,
    tiles_x: u32, // w / 4
    chunks_x: u32, chunks_dy: u32, // of groups that the guard looked at
    edge: u32, // 6: see winograd.wgsl
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dw: array<f32>;
@group(0) @binding(4) var<storage, read> guard_x: array<Seen>;
@group(0) @binding(5) var<storage, read> guard_dy: array<Seen>;

// The pixel of a channel, counted over all images, in a row and column that may lie outside of it: then 0.
fn pixel(plane: u32, row: u32, column: u32) -> f32 {
    // Above and left of the image these wrap around to large numbers.
    if (row >= p.h || column >= p.tiles_x * 4u) {
        return 0.0;
    }
    return x[(plane * p.h + row) * p.tiles_x * 4u + column];
}

fn is_found(ic: u32, oc: u32) -> bool {
    var of_x: Seen;
    for (var i = 0u; i < p.chunks_x; i++) {
        of_x = together(of_x, guard_x[i * p.c_in + ic]);
    }
    var of_dy: Seen;
    for (var i = 0u; i < p.chunks_dy; i++) {
        of_dy = together(of_dy, guard_dy[i * p.c_out + oc]);
    }
    return is_odd(of_x) || is_odd(of_dy);
}

@compute @workgroup_size(WORKGROUP)
fn winograd_weight_grad_direct(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = thread_index(id, groups);
    let oc = i / p.c_in;
    let ic = i % p.c_in;
    if (oc >= p.c_out || !is_found(ic, oc)) {
        return;
    }
    // Loops whose length the driver does not know: unrolled, they would take long to compile.
    for (var ky = 0u; ky < p.edge / 2u; ky++) {
        var sum: vec3<f32>;
        for (var image = p.first; image < p.last; image++) {
            for (var row = 0u; row < p.h; row++) {
                let plane = image * p.c_in + ic;
                let dy_row = ((image * p.c_out + oc) * p.h + row) * p.tiles_x;
                let y = row + ky - 1u;
                if (y >= p.h) {
                    // Not even a NaN of dy reaches the taps over the border.
                    continue;
                }
                for (var c = 0u; c < p.tiles_x; c++) {
                    let g = dy[dy_row + c];
                    let left = pixel(plane, y, c * 4u - 1u);
                    let middle = vec4<f32>(
                        pixel(plane, y, c * 4u), pixel(plane, y, c * 4u + 1u),
                        pixel(plane, y, c * 4u + 2u), pixel(plane, y, c * 4u + 3u));
                    let right = pixel(plane, y, c * 4u + 4u);
                    // At the border, the first and last columns of dy meet nothing.
                    let g_left = vec4<f32>(select(g.x, 0.0, c == 0u), g.yzw);
                    let g_right = vec4<f32>(g.xyz, select(g.w, 0.0, c + 1u == p.tiles_x));
                    sum += vec3<f32>(
                        dot(g_left, vec4<f32>(left, middle.xyz)), dot(g, middle),
                        dot(g_right, vec4<f32>(middle.yzw, right)));
                }
            }
        }
        let at = (oc * p.c_in + ic) * 9u + ky * 3u;
        for (var kx = 0u; kx < 3u; kx++) {
            dw[at + kx] = select(dw[at + kx], 0.0, p.first == 0u) + sum[kx];
        }
    }
}
