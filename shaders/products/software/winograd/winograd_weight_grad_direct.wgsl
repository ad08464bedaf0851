// The filters' gradients that the guard found (winograd_guard.wgsl), as direct sums over images first … last - 1:
//   dw[oc][ic][ky][kx] = Σ over images, y, x of dy[oc][y][x] · x[ic][y + ky - 1][x + kx - 1]
// over what Winograd's transforms wrote if `first` is 0, and added to it otherwise: so no launch loops too long.
// One invocation makes a filter, or has nothing to do.
// Uses: index, winograd_odd.
struct Params {
    first_group: u32,
    first: u32, last: u32, c_in: u32, c_out: u32, h: u32, w: u32,
    chunks_x: u32, chunks_dy: u32, // of groups that the guard looked at
    edge: u32, // 6: see winograd.wgsl
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dw: array<f32>;
@group(0) @binding(4) var<storage, read> guard_x: array<Seen>;
@group(0) @binding(5) var<storage, read> guard_dy: array<Seen>;

// The pixel of a channel, counted over all images, in a row and column that may lie outside of it: then 0.
fn pixel(plane: u32, row: u32, column: u32) -> f32 {
    // Above and left of the image these wrap around to large numbers.
    if (row >= p.h || column >= p.w) {
        return 0.0;
    }
    return x[(plane * p.h + row) * p.w + column];
}

// Four pixels of dy's row that begins at `first`; past its end they are 0.
fn gradients(first: u32, column: vec4<u32>) -> vec4<f32> {
    let at = vec4<u32>(first) + min(column, vec4<u32>(p.w - 1u));
    return select(vec4<f32>(), vec4<f32>(dy[at.x], dy[at.y], dy[at.z], dy[at.w]), column < vec4<u32>(p.w));
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
                let dy_row = ((image * p.c_out + oc) * p.h + row) * p.w;
                let y = row + ky - 1u;
                if (y >= p.h) {
                    // Not even a NaN of dy reaches the taps over the border.
                    continue;
                }
                for (var c = 0u; c < p.w; c += 4u) {
                    let column = vec4<u32>(c) + vec4<u32>(0u, 1u, 2u, 3u);
                    let g = gradients(dy_row, column);
                    let left = pixel(plane, y, c - 1u);
                    let middle = vec4<f32>(
                        pixel(plane, y, c), pixel(plane, y, c + 1u), pixel(plane, y, c + 2u), pixel(plane, y, c + 3u));
                    let right = pixel(plane, y, c + 4u);
                    // At the border, the first and last columns of dy meet nothing, and an infinity of x none past the end.
                    let before = select(vec4<f32>(left, middle.xyz), vec4<f32>(), column >= vec4<u32>(p.w));
                    let g_left = vec4<f32>(select(g.x, 0.0, c == 0u), g.yzw);
                    let g_right = select(g, vec4<f32>(), column + vec4<u32>(1u) >= vec4<u32>(p.w));
                    sum += vec3<f32>(
                        dot(g_left, before), dot(g, middle),
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
