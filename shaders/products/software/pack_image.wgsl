// Packs a convolution's image operand for gemm_panels, for stride 1: the fast way where rows hold whole vec4.
//   value(channel, tap, image, oy, ox) = x[image][channel][oy + shift_h(tap)][ox + shift_w(tap)], zero outside
//   shift(t) = t * DILATION - PAD; FLIP 1 numbers the taps in reverse, as the input gradient wants them
//   AS_A 1: rows are (channel, tap), k = (image, oy, ox): out[group][panel][k / 4][row % PANEL][k % 4]
//   AS_A 0: columns are (image, oy, ox), k = (channel, tap): out[group][panel][k][col % PANEL]
// Either way a vec4 is four neighbouring pixels at one tap. One invocation loads the window of four output pixels in
// one row of x, rows above and below included, and stores it for every tap: each stored vec4 has one writer.
// Alias: Element (f32, f16). Constants: GROUPS, CHANNELS (of one group), H, W (of x), OH, OW, KH, KW, PAD_H, PAD_W, DILATION_H,
// DILATION_W, FLIP, AS_A, PANEL (ROWS or COLS). W and OW are multiples of 4, and OW = W + 2 * PAD_W - DILATION_W * (KW - 1).
// Uses: divide.
struct Params { first_group: u32, images: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<Element>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

const TAPS = KH * KW;
const DEPTH = CHANNELS * TAPS;
const K_PADDED = (DEPTH + 3u) / 4u * 4u; // where k is the depth
const OUT_QUADS = OW / 4u;
const SHIFTED_ROWS = OH + (KH - 1u) * DILATION_H;
// The window begins LEFT vec4 left of the four pixels and has WINDOW vec4.
const LEFT = (PAD_W + 3u) / 4u;
const WINDOW = ((KW - 1u) * DILATION_W + 4u + LEFT * 4u - PAD_W + 3u) / 4u;

// Where the vec4 of four pixels at depth d = (channel, tap) is packed.
fn packed(group: u32, d: u32, pixel: u32) -> u32 {
    let pixels = p.images * OH * OW;
    let panels = (select(pixels, DEPTH, AS_A == 1u) + PANEL - 1u) / PANEL;
    if (AS_A == 1u) {
        return ((group * panels + d / PANEL) * (pixels / 4u) + pixel / 4u) * PANEL + d % PANEL;
    }
    return ((group * panels + pixel / PANEL) * K_PADDED + d) * (PANEL / 4u) + pixel % PANEL / 4u;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (p.first_group + workgroup.y * workgroups.x + workgroup.x) * 64u + local;
    let of_group = i / (OUT_QUADS * SHIFTED_ROWS * CHANNELS); // an image of a group
    let group = divide(of_group, p.images);
    if (group >= GROUPS) {
        return;
    }
    let image = of_group - group * p.images;
    let quad = i % OUT_QUADS;
    let shifted_row = i / OUT_QUADS % SHIFTED_ROWS;
    let channel = i / (OUT_QUADS * SHIFTED_ROWS) % CHANNELS;

    // Rows and vec4 before the first wrap around to large numbers, so one comparison finds both sides.
    let iy = shifted_row - PAD_H;
    let row = ((image * GROUPS + group) * CHANNELS + channel) * H + iy;
    var window: array<f32, WINDOW * 4u>;
    for (var v = 0u; v < WINDOW; v++) {
        let from_quad = quad + v - LEFT;
        var pixels = vec4<f32>();
        if (iy < H && from_quad < W / 4u) {
            pixels = vec4<f32>(x[row * (W / 4u) + from_quad]);
        }
        for (var e = 0u; e < 4u; e++) {
            window[v * 4u + e] = pixels[e];
        }
    }
    for (var kh = 0u; kh < KH; kh++) {
        let oy = shifted_row - kh * DILATION_H;
        if (oy < OH) {
            let pixel = (image * OH + oy) * OW + quad * 4u;
            for (var kw = 0u; kw < KW; kw++) {
                let tap = select(kh * KW + kw, TAPS - 1u - kh * KW - kw, FLIP == 1u);
                let at = LEFT * 4u - PAD_W + kw * DILATION_W;
                out[packed(group, channel * TAPS + tap, pixel)] =
                    vec4<f32>(window[at], window[at + 1u], window[at + 2u], window[at + 3u]);
            }
            // The k that pad DEPTH to a multiple of 4 are zero.
            if (AS_A == 0u && channel == 0u && kh == 0u) {
                for (var d = DEPTH; d < K_PADDED; d++) {
                    out[packed(group, d, pixel)] = vec4<f32>();
                }
            }
        }
    }
}
