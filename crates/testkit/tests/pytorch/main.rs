//! References and numeric gradients against results of PyTorch in float64.
//!
//! values.rs holds PyTorch's numbers; make_values.py wrote it and says what each of them is.

#[rustfmt::skip]
mod values;

use values::*;
use wgrad_testkit::gradient::numeric_gradient;
use wgrad_testkit::reference::optim::{AdamParams, AdamState, SgdParams, adam, adamw, sgd};
use wgrad_testkit::reference::{self, Conv2dParams};
use wgrad_testkit::{Array, compare};

/// The formula by which make_values.py makes its inputs.
fn pattern(seed: usize, shape: &[usize]) -> Array {
    let len = shape.iter().product();
    let values = (0..len).map(|i| ((i * 37 + seed) % 101) as f64 / 50.0 - 1.0);
    Array::new(shape, values.collect())
}

fn scaled(x: &Array, factor: f64) -> Array {
    x.map(|v| factor * v)
}

#[track_caller]
fn close(got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len());
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let error = (got - want).abs();
        assert!(error <= tolerance * want.abs().max(1.0), "element {i}: got {got}, PyTorch {want}");
    }
}

#[track_caller]
fn forward(y: &Array, want: &[f64]) {
    close(&y.data, want, 1e-13);
}

/// Checks the forward, and its numeric gradients under make_values.py's upstream gradient.
#[track_caller]
fn differentiable(inputs: &[Array], f: impl Fn(&[Array]) -> Array, y: &[f64], gradients: &[&[f64]]) {
    let output = f(inputs);
    forward(&output, y);
    let numeric = numeric_gradient(inputs, &pattern(5, &output.shape), f);
    assert_eq!(numeric.len(), gradients.len());
    for (numeric, want) in numeric.iter().zip(gradients) {
        close(&numeric.data, want, 1e-8);
    }
}

#[test]
fn elementwise() {
    let x = scaled(&pattern(3, &[12]), 4.0);
    forward(&reference::exp(&x), EXP);
    forward(&reference::sigmoid(&x), SIGMOID);
    forward(&reference::tanh(&x), TANH);
    forward(&reference::relu(&x), RELU);
    forward(&reference::abs(&x), ABS);
    forward(&reference::square(&x), SQUARE);
    forward(&reference::clamp(&x, -1.5, 0.75), CLAMP);
    forward(&reference::sqrt(&reference::abs(&x)), SQRT_ABS);
    forward(&reference::log(&x.map(|v| v.abs() + 0.125)), LOG_ABS);
    differentiable(&[x], |x| reference::gelu(&x[0]), GELU, &[GELU_GRAD_0]);
    let inputs = [pattern(1, &[2, 1, 3]), pattern(20, &[2, 1])];
    differentiable(&inputs, |x| reference::div(&x[0], &x[1]), DIV, &[DIV_GRAD_0, DIV_GRAD_1]);
}

#[test]
fn erf_and_erfc_to_relative_accuracy() {
    let points = [1e-3, 0.1, 0.5, 1.0, 1.5, 1.999, 2.0, 2.001, 2.5, 3.0, 4.0, 5.5];
    for (i, x) in points.into_iter().enumerate() {
        assert!((reference::erf(x) / ERF[i] - 1.0).abs() < 1e-14, "erf({x})");
        assert!((reference::erfc(x) / ERFC[i] - 1.0).abs() < 1e-13, "erfc({x})");
        assert_eq!(reference::erf(-x), -reference::erf(x));
        assert!((reference::erfc(-x) - (1.0 + ERF[i])).abs() < 1e-15, "erfc(-{x})");
    }
}

#[test]
fn matmul() {
    let inputs = [pattern(1, &[2, 3, 4]), pattern(9, &[2, 5, 4])];
    let f = |x: &[Array]| reference::matmul(&x[0], &x[1], false, true);
    differentiable(&inputs, f, MATMUL_NT, &[MATMUL_NT_GRAD_0, MATMUL_NT_GRAD_1]);
    let inputs = [pattern(1, &[4, 3]), pattern(9, &[2, 4, 2])];
    let f = |x: &[Array]| reference::matmul(&x[0], &x[1], true, false);
    differentiable(&inputs, f, MATMUL_SHARED_TN, &[MATMUL_SHARED_TN_GRAD_0, MATMUL_SHARED_TN_GRAD_1]);
}

#[test]
fn conv2d_with_every_parameter() {
    let params = Conv2dParams { stride: [2, 1], padding: [1, 2], dilation: [1, 2], groups: 2 };
    let inputs = [pattern(1, &[2, 4, 5, 6]), pattern(8, &[6, 2, 3, 2]), pattern(30, &[6])];
    let f = |x: &[Array]| reference::conv2d(&x[0], &x[1], Some(&x[2]), &params);
    differentiable(&inputs, f, CONV2D, &[CONV2D_GRAD_0, CONV2D_GRAD_1, CONV2D_GRAD_2]);
}

#[test]
fn pooling() {
    let x = pattern(1, &[1, 2, 5, 6]);
    forward(&reference::max_pool2d(&x, [3, 2], [2, 1], [1, 1]), MAX_POOL2D);
    forward(&reference::avg_pool2d(&x, [3, 2], [2, 1], [1, 1]), AVG_POOL2D);
}

#[test]
fn reductions() {
    let x = pattern(4, &[2, 3, 4]);
    forward(&reference::sum(&x, &[0, 2], false), SUM_0_2);
    forward(&reference::mean(&x, &[1], true), MEAN_1);
    forward(&reference::max(&x, &[0, 1], false), AMAX_0_1);
    forward(&reference::argmax(&x, 1, false), ARGMAX_1);
}

#[test]
fn softmax_and_losses() {
    let x = [scaled(&pattern(4, &[3, 5]), 3.0)];
    differentiable(&x, |x| reference::softmax(&x[0]), SOFTMAX, &[SOFTMAX_GRAD_0]);
    differentiable(&x, |x| reference::log_softmax(&x[0]), LOG_SOFTMAX, &[LOG_SOFTMAX_GRAD_0]);

    let x = [scaled(&pattern(4, &[4, 5]), 3.0)];
    let t = pattern(11, &[4, 5]).map(|v| (v + 1.0) / 2.0);
    let entropy = |smoothing| move |x: &[Array]| reference::cross_entropy(&x[0], &[0, 4, 2, 2], smoothing);
    differentiable(&x, entropy(0.0), CROSS_ENTROPY, &[CROSS_ENTROPY_GRAD_0]);
    differentiable(&x, entropy(0.1), CROSS_ENTROPY_SMOOTH, &[CROSS_ENTROPY_SMOOTH_GRAD_0]);
    differentiable(&x, |x| reference::bce_with_logits(&x[0], &t), BCE, &[BCE_GRAD_0]);
    differentiable(&x, |x| reference::mse(&x[0], &t), MSE, &[MSE_GRAD_0]);
}

/// Four steps from the same start with the same gradients as in make_values.py.
#[track_caller]
fn four_steps(want: &[f64], mut step: impl FnMut(&mut [f64], &[f64])) {
    let mut params = pattern(2, &[4]).data;
    for i in 0..4 {
        step(&mut params, &pattern(i + 40, &[4]).data);
    }
    close(&params, want, 1e-13);
}

#[test]
fn optimizers() {
    let decayed = SgdParams { lr: 0.1, momentum: 0.9, nesterov: false, weight_decay: 0.05 };
    let plain = SgdParams { lr: 0.1, momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    for (want, settings) in
        [(SGD, decayed), (SGD_NESTEROV, SgdParams { nesterov: true, ..decayed }), (SGD_PLAIN, plain)]
    {
        let mut velocity = [0.0; 4];
        four_steps(want, |params, grads| sgd(params, grads, &mut velocity, &settings));
    }
    let settings = AdamParams { lr: 0.01, betas: [0.8, 0.95], eps: 1e-8, weight_decay: 0.05 };
    let mut state = AdamState::new(4);
    four_steps(ADAM, |params, grads| adam(params, grads, &mut state, &settings));
    let mut state = AdamState::new(4);
    four_steps(ADAMW, |params, grads| adamw(params, grads, &mut state, &settings));
    assert_eq!(state.step, 4);
}

#[test]
fn the_comparison_accepts_float32_rounding_of_pytorch() {
    let got: Vec<f32> = GELU.iter().map(|&v| v as f32).collect();
    let want = reference::gelu(&scaled(&pattern(3, &[12]), 4.0));
    compare::assert_close("gelu", &got, &want, 1e-6, 1e-7);
}
