//! Elementwise ops.

use wgrad_autograd::{Result, Tensor};
use wgrad_testkit::{Array, reference as r};

use super::{Draw, Row, UNIT, row};

/// One element, vec4 tails of 1 to 3, primes, a workgroup of vec4s ± 1.
const SHAPES: &[&[&[usize]]] = &[&[&[1]], &[&[]], &[&[2, 3]], &[&[7, 5]], &[&[255]], &[&[257]], &[&[31, 37]]];

const PAIRS: &[&[&[usize]]] = &[
    // Of one shape.
    &[&[], &[]],
    &[&[1], &[1]],
    &[&[7, 5], &[7, 5]],
    &[&[257], &[257]],
    // Broadcast from the right, the left, and both.
    &[&[3, 5], &[5]],
    &[&[5], &[3, 5]],
    &[&[3, 1], &[2, 1, 7]],
    &[&[2, 3, 1, 5], &[3, 4, 1]],
    &[&[1, 7], &[5, 1]],
    &[&[13, 17, 5], &[17, 1]],
    // With scalars.
    &[&[], &[11]],
    &[&[2, 3], &[]],
    &[&[1], &[5, 3]],
];

const KINK: Draw = Draw::Away(-2.0, 2.0, &[0.0]);

fn unary(
    name: &str,
    draw: Draw,
    op: impl Fn(&Tensor) -> Result<Tensor> + 'static,
    reference: impl Fn(&Array) -> Array + 'static,
) -> Row {
    row(name, SHAPES, draw, move |x| op(&x[0]), move |x| reference(&x[0]))
}

pub fn rows() -> Vec<Row> {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    // As rounded to f32, from which a gradient is worked out.
    let rounded = |y: f64| f64::from(y as f32);
    let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    // Where e^2x is beyond f32.
    let far = Draw::Uniform(-80.0, 80.0);
    let wide = Draw::Uniform(-5.0, 5.0);
    let mut rows = vec![
        unary("neg", UNIT, Tensor::neg, r::neg).derivative(|_, dy| -dy, 0.0),
        unary("exp", wide, Tensor::exp, r::exp).derivative(|x, dy| dy * x.exp(), 0.0),
        unary("expm1", wide, Tensor::expm1, r::expm1).derivative(|x, dy| dy * x.exp(), 3e-7),
        unary("log", Draw::Uniform(0.1, 10.0), Tensor::log, r::log).derivative(|x, dy| dy / x, 0.0),
        unary("log1p", Draw::Uniform(-0.9, 10.0), Tensor::log1p, r::log1p)
            .derivative(|x, dy| dy / (1.0 + x), 0.0),
        unary("sqrt", Draw::Uniform(0.1, 10.0), Tensor::sqrt, r::sqrt)
            .derivative(|x, dy| dy / (2.0 * x.sqrt()), 0.0),
        unary("square", wide, Tensor::square, r::square).derivative(|x, dy| dy * 2.0 * x, 0.0),
        unary("abs", KINK, Tensor::abs, r::abs)
            .derivative(|x, dy| if x == 0.0 || x.is_nan() { 0.0 } else { dy * x.signum() }, 0.0),
        unary("relu", KINK, Tensor::relu, r::relu).derivative(|x, dy| if x <= 0.0 { 0.0 } else { dy }, 0.0),
        unary("sigmoid", wide, Tensor::sigmoid, r::sigmoid)
            .derivative(move |x, dy| dy * (1.0 - rounded(sigmoid(x))) * sigmoid(x), 3e-7),
        unary("tanh", Draw::Uniform(-3.0, 3.0), Tensor::tanh, r::tanh)
            .derivative(move |x, dy| dy * (1.0 - rounded(x.tanh()).powi(2)), 5e-7),
        unary("softplus", wide, Tensor::softplus, r::softplus).derivative(move |x, dy| dy * sigmoid(x), 0.0),
        unary("sigmoid, far", far, Tensor::sigmoid, r::sigmoid).kinked(),
        unary("tanh, far", far, Tensor::tanh, r::tanh).kinked(),
        unary("softplus, far", far, Tensor::softplus, r::softplus).kinked(),
        unary("gelu", Draw::Uniform(-6.0, 6.0), Tensor::gelu, r::gelu).derivative(
            move |x, dy| dy * (0.5 * r::erfc(-x * std::f64::consts::FRAC_1_SQRT_2) + x * density(x)),
            1e-7,
        ),
        unary("silu", Draw::Uniform(-6.0, 6.0), Tensor::silu, r::silu)
            .derivative(move |x, dy| dy * (sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x)))), 1e-7),
        unary(
            "clamp",
            Draw::Away(-2.0, 2.0, &[-0.5, 1.25]),
            |x| x.clamp(-0.5, 1.25),
            |x| r::clamp(x, -0.5, 1.25),
        )
        .derivative(|x, dy| if x > -0.5 && x < 1.25 { dy } else { 0.0 }, 0.0),
        unary("affine", UNIT, |x| x.mul_add_scalar(-1.5, 0.25), |x| x.map(|v| 0.25 - 1.5 * v))
            .derivative(|_, dy| -1.5 * dy, 0.0),
    ];
    rows.extend([
        row("add", PAIRS, UNIT, |x| x[0].add(&x[1]), |x| r::add(&x[0], &x[1])),
        row("sub", PAIRS, UNIT, |x| x[0].sub(&x[1]), |x| r::sub(&x[0], &x[1])),
        row("mul", PAIRS, UNIT, |x| x[0].mul(&x[1]), |x| r::mul(&x[0], &x[1])),
        row("div", PAIRS, Draw::Uniform(0.5, 2.0), |x| x[0].div(&x[1]), |x| r::div(&x[0], &x[1])),
        row("div, negative", PAIRS, Draw::Uniform(-2.0, -0.5), |x| x[0].div(&x[1]), |x| r::div(&x[0], &x[1])),
        unary("x + x", UNIT, |x| x.add(x), |x| r::add(x, x)).kinked(),
        unary("x - x", UNIT, |x| x.sub(x), |x| r::sub(x, x)).kinked(),
        unary("x · x", UNIT, |x| x.mul(x), |x| r::mul(x, x)),
        unary("x / x", Draw::Uniform(0.5, 2.0), |x| x.div(x), |x| r::div(x, x)).kinked(),
        // PyTorch passes a gradient that is finite on beside a NaN.
        row("maximum", PAIRS, UNIT, |x| x[0].maximum(&x[1]), |x| r::maximum(&x[0], &x[1])).kinked(),
        row("minimum", PAIRS, UNIT, |x| x[0].minimum(&x[1]), |x| r::minimum(&x[0], &x[1])).kinked(),
        unary("maximum of x and x", UNIT, |x| x.maximum(x), Clone::clone).kinked(),
        keep_where(&[7, 5], &[5]),
        keep_where(&[7, 5], &[7, 5]),
        keep_where(&[3, 1], &[2, 1, 7]),
    ]);
    rows
}

/// A mask of a third zeros.
fn keep_where(shape: &[usize], mask: &[usize]) -> Row {
    let values = (0..mask.iter().product::<usize>()).map(|i| [0.0, 1.0, -2.5][i % 3]).collect();
    let mask = Array::new(mask, values);
    let uploaded = mask.clone();
    let op = move |x: &[Tensor]| {
        let mask = Tensor::from_slice(x[0].gpu(), &uploaded.to_f32(), &uploaded.shape)?;
        x[0].keep_where(&mask.to_dtype(x[0].dtype())?)
    };
    let name = format!("keep_where, a mask {:?}", mask.shape);
    row(name, &[&[shape]], UNIT, op, move |x| r::keep_where(&x[0], &mask))
}
