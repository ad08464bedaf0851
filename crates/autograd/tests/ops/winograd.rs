//! Winograd's transforms mix the values of a tile: what an output doesn't see must not show in it.

use wgrad_autograd::device::Family;
use wgrad_autograd::{Activation, Conv2dOptions, Epilogue, Gpu, Tensor};
use wgrad_testkit::reference::{self, Conv2dParams};
use wgrad_testkit::{Array, sample::Sampler};

const OPTIONS: Conv2dOptions = Conv2dOptions { stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 };

fn gpu() -> Gpu {
    Gpu::builder().quiet().poison().family(Family::Cpu).build().unwrap()
}

fn upload(gpu: &Gpu, x: &Array) -> Tensor {
    Tensor::from_slice(gpu, &x.to_f32(), &x.shape).unwrap()
}

fn conv(x: &Array, w: &Array) -> Array {
    reference::conv2d(x, w, None, &Conv2dParams { padding: [1, 1], ..Conv2dParams::default() })
}

/// Fails unless `got` is as close to `want` as the magnitudes that each output adds up allow; what depends on an infinity or
/// a NaN is compared with what it gives.
#[track_caller]
fn local(what: &str, got: &[f32], want: &Array, magnitudes: &Array) {
    assert_eq!(got.len(), want.len());
    for (i, (&got, &want)) in got.iter().zip(&want.data).enumerate() {
        let error = 1e-5 * magnitudes.data[i].abs() + 1e-6;
        let right = if want.is_finite() {
            (f64::from(got) - want).abs() <= error
        } else {
            f64::from(got) == want || (want.is_nan() && got.is_nan())
        };
        assert!(right, "{what}: element {i} is {got:e}, want {want:e} ± {error:e}");
    }
}

fn magnitude(x: &Array) -> Array {
    x.map(f64::abs)
}

/// `x` turned into the gradient of a convolution's input by `w`: the convolution of dy with w turned around.
fn input_grad(dy: &Array, w: &Array) -> Array {
    let [oc, ic] = [w.shape[0], w.shape[1]];
    let mut turned = Array::zeros(&[ic, oc, 3, 3]);
    for o in 0..oc {
        for i in 0..ic {
            for t in 0..9 {
                turned.data[(i * oc + o) * 9 + t] = w.data[(o * ic + i) * 9 + 8 - t];
            }
        }
    }
    conv(dy, &turned)
}

/// The weight's gradient, skipping what lies over the border.
fn weight_grad(x: &Array, dy: &Array) -> Array {
    let &[n, ic, h, w] = x.shape.as_slice() else { panic!() };
    let oc = dy.shape[1];
    let mut dw = Array::zeros(&[oc, ic, 3, 3]);
    for image in 0..n {
        for o in 0..oc {
            for i in 0..ic {
                for (t, slot) in dw.data[(o * ic + i) * 9..][..9].iter_mut().enumerate() {
                    for y in 0..h {
                        for column in 0..w {
                            let (row, from) = (y + t / 3, column + t % 3);
                            if (1..=h).contains(&row) && (1..=w).contains(&from) {
                                let pixel = x.data[((image * ic + i) * h + row - 1) * w + from - 1];
                                *slot += dy.data[((image * oc + o) * h + y) * w + column] * pixel;
                            }
                        }
                    }
                }
            }
        }
    }
    dw
}

const SPECIAL: [f64; 6] = [1e4, -1e6, 3e38, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];

/// Shapes of x and channels of y: an image of one tile, one that ends within a tile, below and at the right, runs of two and four
/// tiles, several images.
const SHAPES: [([usize; 4], usize); 6] = [
    ([2, 8, 4, 4], 9),
    ([1, 8, 8, 8], 8),
    ([2, 9, 7, 16], 8),
    ([3, 8, 5, 24], 11),
    ([2, 8, 7, 14], 9),
    ([1, 9, 6, 29], 8),
];

#[test]
fn an_outlier_reaches_the_outputs_that_see_it_and_no_others() {
    let gpu = gpu();
    for (shape, channels) in SHAPES {
        let n: usize = shape.iter().product();
        let w = Array::full(&[channels, shape[1], 3, 3], 1.0);
        // Forward, and the input gradient under the same values.
        for special in SPECIAL {
            for at in [0, shape[3] - 1, n / 2 + 5, n - 1] {
                let mut x = Array::full(&shape, 1.0);
                x.data[at] = f64::from(special as f32);
                let y = upload(&gpu, &x).conv2d(&upload(&gpu, &w), None, OPTIONS).unwrap();
                let name = format!("{special:e} at {at} of {shape:?}");
                local(&name, &y.to_vec().unwrap(), &conv(&x, &w), &conv(&magnitude(&x), &w));
            }
        }
    }
}

#[test]
fn an_outlier_reaches_the_gradients_that_see_it_and_no_others() {
    let gpu = gpu();
    let mut sampler = Sampler::new(6);
    for (shape, channels) in SHAPES {
        let w = sampler.uniform(&[channels, shape[1], 3, 3], -1.0, 1.0);
        let mut out = shape;
        out[1] = channels;
        let n: usize = out.iter().product();
        for special in SPECIAL {
            // In dy, then in x; the corner is over the border of some taps.
            for (in_x, at) in
                [(false, 0), (false, n / 2 + 3), (true, 0), (true, shape.iter().product::<usize>() - 1)]
            {
                let mut x = sampler.uniform(&shape, 0.5, 1.0);
                let mut dy = sampler.uniform(&out, 0.5, 1.0);
                if in_x { &mut x } else { &mut dy }.data[at] = f64::from(special as f32);
                let [tx, tw] = [&x, &w].map(|a| upload(&gpu, a).tracked());
                let y = tx.conv2d(&tw, None, OPTIONS).unwrap();
                let gradients = y.backward_from(&upload(&gpu, &dy)).unwrap();
                let name = format!("{special:e} at {at} of {}, {shape:?}", if in_x { "x" } else { "dy" });
                let dx = gradients.get(&tx).unwrap().to_vec().unwrap();
                local(
                    &format!("dx, {name}"),
                    &dx,
                    &input_grad(&dy, &w),
                    &input_grad(&magnitude(&dy), &magnitude(&w)),
                );
                let dw = gradients.get(&tw).unwrap().to_vec().unwrap();
                local(
                    &format!("dw, {name}"),
                    &dw,
                    &weight_grad(&x, &dy),
                    &weight_grad(&magnitude(&x), &magnitude(&dy)),
                );
            }
        }
    }
}

/// A filter that is not finite may make NaN of zero times itself at the border, as in PyTorch, but in its channel only.
#[test]
fn an_outlier_among_the_weights_stays_within_its_filters() {
    let gpu = gpu();
    for (shape, channels) in SHAPES {
        let x = Array::full(&shape, 1.0);
        for special in SPECIAL {
            let mut w = Array::full(&[channels, shape[1], 3, 3], 1.0);
            w.data[10] = f64::from(special as f32);
            let mut got =
                upload(&gpu, &x).conv2d(&upload(&gpu, &w), None, OPTIONS).unwrap().to_vec().unwrap();
            let want = conv(&x, &w);
            let plane = shape[2] * shape[3];
            if !special.is_finite() {
                for image in 0..shape[0] {
                    let filter = image * channels * plane..(image * channels + 1) * plane;
                    for (got, want) in got[filter.clone()].iter_mut().zip(&want.data[filter]) {
                        assert!(want.is_finite() || !got.is_finite(), "{special:e}, {shape:?}: {got}");
                        *got = *want as f32;
                    }
                }
            }
            local(&format!("{special:e}, {shape:?}"), &got, &want, &conv(&x, &magnitude(&w)));
        }
    }
}

#[test]
fn what_follows_a_convolution_follows_the_direct_sums_too() {
    // Rows of whole eights of pixels, and others.
    for width in [16, 14] {
        what_follows_follows(width);
    }
}

fn what_follows_follows(width: usize) {
    let gpu = gpu();
    let mut sampler = Sampler::new(7);
    let mut x = sampler.uniform(&[2, 8, 6, width], -1.0, 1.0);
    let w = sampler.uniform(&[9, 8, 3, 3], -1.0, 1.0);
    let bias = sampler.uniform(&[9], -1.0, 1.0);
    x.data[700] = 1e5;
    let [tx, tw, tb] = [&x, &w, &bias].map(|a| upload(&gpu, a).tracked());
    let biased = reference::add(&conv(&x, &w), &reference::reshape(&bias, &[9, 1, 1]));
    let magnitudes = conv(&magnitude(&x), &magnitude(&w));
    for (relu, max_pool) in [(true, false), (false, true), (true, true)] {
        let activation = if relu { Activation::Relu } else { Activation::None };
        let epilogue = Epilogue { activation, max_pool, ..Epilogue::default() };
        let y = tx.conv2d_with(&tw, Some(&tb), OPTIONS, epilogue).unwrap();
        let (mut want, mut scale) = (biased.clone(), magnitudes.clone());
        if relu {
            want = reference::relu(&want);
        }
        if max_pool {
            want = reference::max_pool2d(&want, [2, 2], [2, 2], [0, 0]);
            scale = reference::max_pool2d(&scale, [2, 2], [2, 2], [0, 0]);
        }
        local(
            &format!("width {width}, relu {relu}, pooling {max_pool}"),
            &y.to_vec().unwrap(),
            &want,
            &scale,
        );
        // The winners too: each window's gradient goes to its first maximum.
        let dy = Array::full(&want.shape, 1.0);
        let gradients = y.backward_from(&upload(&gpu, &dy)).unwrap();
        let count: f32 = gradients.get(&tb).unwrap().to_vec().unwrap().iter().sum();
        let passed = want.data.iter().filter(|v| !relu || **v > 0.0).count();
        assert_eq!(count, passed as f32, "width {width}, relu {relu}, pooling {max_pool}");
    }
}

/// As many channels as an invocation of the direct sums may go over, and one more, which takes another way.
#[test]
fn direct_sums_over_the_most_channels() {
    let gpu = gpu();
    for channels in [3276, 3277] {
        let mut x = Array::full(&[1, channels, 4, 8], 1.0);
        x.data[0] = f64::NAN;
        let w = Array::full(&[8, channels, 3, 3], 1.0);
        let y = upload(&gpu, &x).conv2d(&upload(&gpu, &w), None, OPTIONS).unwrap().to_vec().unwrap();
        for (i, y) in y.iter().enumerate() {
            let (row, column) = (i % 32 / 8, i % 8);
            let taps = [row, 3 - row].iter().map(|d| (*d).min(1)).sum::<usize>() + 1;
            let taps = taps * ([column, 7 - column].iter().map(|d| (*d).min(1)).sum::<usize>() + 1);
            let want = (channels * taps) as f32;
            if row < 2 && column < 2 {
                assert!(y.is_nan(), "{channels} channels, output {i}: {y}");
            } else {
                assert!((y - want).abs() <= 1e-5 * want, "{channels} channels, output {i}: {y}, want {want}");
            }
        }
    }
}
