// Shared: the one-dimensional transforms of Winograd's F(4, 3), applied to rows and to columns for F(4 × 4, 3 × 3).
//   y = Aᵀ [(G g) ⊙ (Bᵀ d)]: four outputs of a three-tap filter g over six inputs d from six products.
// Toom-Cook's construction at the points 0, ±P, ±Q and infinity. With 3/4 and 3/2 every coefficient of Bᵀ and Aᵀ is a
// short binary fraction, and the rounding error is half of that of the usual points 1 and 2 (docs/rejected.md).
// A vec4 is four independent transforms.
// Along one axis of a tile the transforms below are used, written out. Along the other one the kernels go over the rows of
// the matrices in a loop, one row of six elements in each turn: *_row give a row's coefficients. A software adapter compiles
// every load and store as a loop over its lanes, so a kernel with 6 of them instead of 36 is there in half the time or less.
// `edge`, 6, is a parameter for that: the driver would unroll a loop of constant length.
const P = 0.75;
const Q = 1.5;
const P2 = P * P;
const Q2 = Q * Q;

alias Six = array<vec4<f32>, 6>;
alias Four = array<vec4<f32>, 4>;
alias Six1 = array<f32, 6>;

// Bᵀ d: the rows are the coefficients of the product of all (x - point) but the row's own.
fn transform_input(d: Six) -> Six {
    let even_p = d[4] - Q2 * d[2];
    let odd_p = P * (d[3] - Q2 * d[1]);
    let even_q = d[4] - P2 * d[2];
    let odd_q = Q * (d[3] - P2 * d[1]);
    return Six(
        d[4] - (P2 + Q2) * d[2] + P2 * Q2 * d[0],
        even_p + odd_p,
        even_p - odd_p,
        even_q + odd_q,
        even_q - odd_q,
        d[5] - (P2 + Q2) * d[3] + P2 * Q2 * d[1]);
}

// The point of an element, 0 for infinity too.
fn point(i: u32) -> f32 {
    return select(select(select(select(0.0, P, i == 1u), -P, i == 2u), Q, i == 3u), -Q, i == 4u);
}

// Row i of Bᵀ.
fn input_row(i: u32) -> Six1 {
    let a = point(i);
    let other = select(P2, Q2, i < 3u); // the square of the other two points
    let first = select(0.0, 1.0, i == 0u);
    let last = select(0.0, 1.0, i == 5u);
    let between = 1.0 - first - last;
    let all = P2 + Q2;
    return Six1(
        first * P2 * Q2,
        last * P2 * Q2 - a * other,
        -first * all - between * other,
        a - last * all,
        1.0 - last,
        last);
}

// Row i of A: powers 0 … 3 of the point.
fn output_row(i: u32) -> vec4<f32> {
    let a = point(i);
    return select(vec4<f32>(1.0, a, a * a, a * a * a), vec4<f32>(0.0, 0.0, 0.0, 1.0), i == 5u);
}

// Row i of G.
fn weight_row(i: u32) -> vec3<f32> {
    let a = point(i);
    let scale = select(select(AT_Q, AT_P, i < 3u), AT_0, i == 0u);
    return select(scale * vec3<f32>(1.0, a, a * a), vec3<f32>(0.0, 0.0, 1.0), i == 5u);
}

// Aᵀ m: the powers 0 … 3 of the points.
fn transform_output(m: Six) -> Four {
    let sum_p = m[1] + m[2];
    let difference_p = P * (m[1] - m[2]);
    let sum_q = m[3] + m[4];
    let difference_q = Q * (m[3] - m[4]);
    return Four(
        m[0] + sum_p + sum_q,
        difference_p + difference_q,
        P2 * sum_p + Q2 * sum_q,
        P2 * difference_p + Q2 * difference_q + m[5]);
}

// A y, the transpose of transform_output.
fn transform_output_grad(y: Four) -> Six {
    let even_p = y[0] + P2 * y[2];
    let odd_p = P * (y[1] + P2 * y[3]);
    let even_q = y[0] + Q2 * y[2];
    let odd_q = Q * (y[1] + Q2 * y[3]);
    return Six(y[0], even_p + odd_p, even_p - odd_p, even_q + odd_q, even_q - odd_q, y[3]);
}

// What Lagrange's interpolation divides by at the points 0, ±P and ±Q.
const AT_0 = 1.0 / (P2 * Q2);
const AT_P = 1.0 / (2.0 * P2 * (P2 - Q2));
const AT_Q = 1.0 / (2.0 * Q2 * (Q2 - P2));

// G g.
fn transform_weight(g: array<vec4<f32>, 3>) -> Six {
    let even_p = AT_P * (g[0] + P2 * g[2]);
    let odd_p = AT_P * P * g[1];
    let even_q = AT_Q * (g[0] + Q2 * g[2]);
    let odd_q = AT_Q * Q * g[1];
    return Six(AT_0 * g[0], even_p + odd_p, even_p - odd_p, even_q + odd_q, even_q - odd_q, g[2]);
}

// Gᵀ u, the transpose of transform_weight.
fn transform_weight_grad(u: Six) -> array<vec4<f32>, 3> {
    let sum_p = AT_P * (u[1] + u[2]);
    let sum_q = AT_Q * (u[3] + u[4]);
    return array<vec4<f32>, 3>(
        AT_0 * u[0] + sum_p + sum_q,
        AT_P * P * (u[1] - u[2]) + AT_Q * Q * (u[3] - u[4]),
        P2 * sum_p + Q2 * sum_q + u[5]);
}
