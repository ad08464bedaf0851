//! Numeric gradients against derivatives worked out on paper.

use wgrad_testkit::Array;
use wgrad_testkit::gradient::numeric_gradient;
use wgrad_testkit::reference::{self, Conv2dParams};
use wgrad_testkit::sample::Sampler;

#[track_caller]
fn close(got: &Array, want: &Array) {
    assert_eq!(got.shape, want.shape);
    for (flat, (g, w)) in got.data.iter().zip(&want.data).enumerate() {
        let allowed = 1e-8 * w.abs().max(1.0);
        assert!((g - w).abs() < allowed, "at {:?}: got {g}, want {w}", got.unravel(flat));
    }
}

/// Checks dx = dy · f'(x) with f' given on the input.
#[track_caller]
fn elementwise(x: &Array, f: impl Fn(&Array) -> Array, derivative: impl Fn(f64) -> f64) {
    let dy = Sampler::new(99).uniform(&x.shape, -1.0, 1.0);
    let got = numeric_gradient(std::slice::from_ref(x), &dy, |inputs| f(&inputs[0]));
    close(&got[0], &reference::mul(&dy, &x.map(derivative)));
}

#[test]
fn elementwise_derivatives() {
    let mut sampler = Sampler::new(1);
    let x = sampler.uniform(&[7, 5], -3.0, 3.0);
    elementwise(&x, reference::exp, f64::exp);
    elementwise(&x, reference::square, |v| 2.0 * v);
    elementwise(&x, reference::tanh, |v| v.cosh().powi(-2));
    elementwise(&x, reference::sigmoid, |v| {
        let y = 1.0 / (1.0 + (-v).exp());
        y * (1.0 - y)
    });
    elementwise(&x, reference::gelu, |v| {
        let density = (-0.5 * v * v).exp() / (2.0 * std::f64::consts::PI).sqrt();
        0.5 * reference::erfc(-v / 2f64.sqrt()) + v * density
    });
    let positive = sampler.uniform(&[35], 0.1, 4.0);
    elementwise(&positive, reference::log, |v| 1.0 / v);
    elementwise(&positive, reference::sqrt, |v| 0.5 / v.sqrt());
    let kinked = sampler.away_from(&[35], -2.0, 2.0, &[-1.0, 0.0, 1.5], 1e-3);
    elementwise(&kinked, reference::relu, |v| f64::from(v > 0.0));
    elementwise(&kinked, reference::abs, f64::signum);
    elementwise(&kinked, |x| reference::clamp(x, -1.0, 1.5), |v| f64::from(v > -1.0 && v < 1.5));
}

#[test]
fn matmul_gradients_are_matmuls() {
    let mut sampler = Sampler::new(2);
    let a = sampler.uniform(&[2, 3, 5], -1.0, 1.0);
    let b = sampler.uniform(&[2, 5, 4], -1.0, 1.0);
    let dy = sampler.uniform(&[2, 3, 4], -1.0, 1.0);
    let f = |x: &[Array]| reference::matmul(&x[0], &x[1], false, false);
    let got = numeric_gradient(&[a.clone(), b.clone()], &dy, f);
    close(&got[0], &reference::matmul(&dy, &b, false, true));
    close(&got[1], &reference::matmul(&a, &dy, true, false));
}

#[test]
fn conv2d_gradients_are_its_adjoints() {
    let mut sampler = Sampler::new(3);
    let x = sampler.uniform(&[2, 4, 6, 5], -1.0, 1.0);
    let w = sampler.uniform(&[6, 2, 3, 2], -1.0, 1.0);
    let bias = sampler.uniform(&[6], -1.0, 1.0);
    let params = Conv2dParams { stride: [2, 1], padding: [1, 1], dilation: [1, 2], groups: 2 };
    let forward = |x: &[Array]| reference::conv2d(&x[0], &x[1], Some(&x[2]), &params);
    let inputs = [x.clone(), w.clone(), bias];
    let dy = sampler.uniform(&forward(&inputs).shape, -1.0, 1.0);
    let got = numeric_gradient(&inputs, &dy, forward);

    // Every product the convolution sums sends dy to both of its factors: scatter where the forward
    // gathers.
    let mut dx = Array::zeros(&x.shape);
    let mut dw = Array::zeros(&w.shape);
    let flat = |x: &Array, at: [usize; 4]| at.iter().zip(x.strides()).map(|(i, s)| i * s).sum::<usize>();
    for out in 0..dy.len() {
        let [n, o, row, col] = <[usize; 4]>::try_from(dy.unravel(out)).unwrap();
        for tap in 0..w.len() {
            let [tap_o, c, i, j] = <[usize; 4]>::try_from(w.unravel(tap)).unwrap();
            let (r, q) = ((2 * row + i).wrapping_sub(1), (col + 2 * j).wrapping_sub(1));
            if tap_o == o && r < 6 && q < 5 {
                let at = flat(&x, [n, o / 3 * 2 + c, r, q]);
                dx.data[at] += dy.data[out] * w.data[tap];
                dw.data[tap] += dy.data[out] * x.data[at];
            }
        }
    }
    close(&got[0], &dx);
    close(&got[1], &dw);
    close(&got[2], &reference::sum(&dy, &[0, 2, 3], false));
}

#[test]
fn a_maximum_sends_its_gradient_to_the_winner() {
    let mut sampler = Sampler::new(4);
    let x = sampler.distinct(&[2, 2, 4, 6]);
    let dy = sampler.uniform(&[2, 2, 2, 3], -1.0, 1.0);
    let f = |x: &[Array]| reference::max_pool2d(&x[0], [2, 2], [2, 2], [0, 0]);
    let got = numeric_gradient(std::slice::from_ref(&x), &dy, f);
    let y = f(std::slice::from_ref(&x));
    let want = Array::from_fn(&x.shape, |i| {
        let window = [i[0], i[1], i[2] / 2, i[3] / 2];
        if x.at(i) == y.at(&window) { dy.at(&window) } else { 0.0 }
    });
    close(&got[0], &want);

    let dy = sampler.uniform(&[2, 6], -1.0, 1.0);
    let got = numeric_gradient(std::slice::from_ref(&x), &dy, |x| reference::max(&x[0], &[1, 2], false));
    let y = reference::max(&x, &[1, 2], false);
    let want = Array::from_fn(&x.shape, |i| {
        let kept = [i[0], i[3]];
        if x.at(i) == y.at(&kept) { dy.at(&kept) } else { 0.0 }
    });
    close(&got[0], &want);
}

#[test]
fn broadcasting_sums_the_gradient() {
    let mut sampler = Sampler::new(5);
    let a = sampler.uniform(&[3, 1], -1.0, 1.0);
    let b = sampler.uniform(&[2, 1, 4], -1.0, 1.0);
    let dy = sampler.uniform(&[2, 3, 4], -1.0, 1.0);
    let got = numeric_gradient(&[a.clone(), b.clone()], &dy, |x| reference::mul(&x[0], &x[1]));
    close(&got[0], &reference::reshape(&reference::sum(&reference::mul(&dy, &b), &[0, 2], false), &[3, 1]));
    close(&got[1], &reference::sum(&reference::mul(&dy, &a), &[1], true));
}

#[test]
fn a_few_thousand_elements_are_quick() {
    let mut sampler = Sampler::new(6);
    let x = sampler.uniform(&[65, 33], -1.0, 1.0);
    let dy = sampler.uniform(&[65, 33], -1.0, 1.0);
    let got = numeric_gradient(std::slice::from_ref(&x), &dy, |x| reference::softmax(&x[0]));
    let y = reference::softmax(&x);
    let dot = reference::sum(&reference::mul(&dy, &y), &[1], true);
    close(&got[0], &reference::mul(&y, &reference::sub(&dy, &dot)));
}
