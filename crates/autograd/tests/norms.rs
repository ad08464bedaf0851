//! Batch normalisation where a table row does not reach: far means, running estimates, refusals, bit-identity.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use wgrad_autograd::{BatchNormOptions, Gpu, Tensor};
use wgrad_testkit::{Array, compare::assert_close, reference as r, sample::Sampler};

use crate::table;

fn upload(gpu: &Gpu, x: &Array) -> Tensor {
    Tensor::from_slice(gpu, &x.to_f32(), &x.shape).unwrap()
}

/// As the device sees it: rounded to f32.
fn rounded(x: &Array) -> Array {
    Array::from_f32(&x.shape, &x.to_f32())
}

/// A mean a thousand deviations away from 0, where E[x²] - m² in f32 would keep one digit of the variance.
#[test]
fn a_far_mean_costs_no_digits_of_the_variance() {
    for (family, gpu) in table::gpus() {
        for shape in [[64, 3, 16, 16], [33, 3, 7, 5]] {
            let mut sampler = Sampler::new(1);
            let x = rounded(&sampler.uniform(&shape, -1.7, 1.7).map(|v| v + 1000.0));
            let [weight, bias] = [0.5, -1.0].map(|low| rounded(&sampler.uniform(&[3], low, 1.0)));
            let start = [Array::zeros(&[3]), Array::full(&[3], 1.0)];
            let running = table::norms::running(&gpu, &start).unwrap();
            let options = BatchNormOptions { momentum: 0.25, ..Default::default() };
            let inputs = [&x, &weight, &bias].map(|x| upload(&gpu, x));
            let y = inputs[0].batch_norm2d(&inputs[1], &inputs[2], &running, options).unwrap();

            let moments = r::channel_moments(&x);
            let want = r::batch_norm2d(&x, &weight, &bias, &moments, 1e-5);
            // The mean itself is an f32 near 1000, whose spacing is 6e-5.
            assert_close(&format!("y ({family})"), &y.to_vec().unwrap(), &want, 1e-5, 2e-4);
            let count = (shape[0] * shape[2] * shape[3]) as f64;
            let mean = moments[0].map(|v| 0.25 * v);
            let var = moments[1].map(|v| 0.75 + 0.25 * v * count / (count - 1.0));
            assert_close(&format!("mean ({family})"), &running.mean.to_vec().unwrap(), &mean, 1e-6, 0.0);
            assert_close(&format!("var ({family})"), &running.var.to_vec().unwrap(), &var, 1e-5, 0.0);
            assert_eq!(running.batches.item().unwrap(), 1.0);
        }
    }
}

#[test]
fn evaluation_leaves_the_running_estimates_alone() {
    for (family, gpu) in table::gpus() {
        let start = [Array::full(&[5], 0.25), Array::full(&[5], 4.0)];
        let running = table::norms::running(&gpu, &start).unwrap();
        let [x, one, zero] = [(&[1, 5, 1, 1][..], 2.25), (&[5], 1.0), (&[5], 0.0)]
            .map(|(shape, value)| Tensor::full(&gpu, shape, value).unwrap());
        let options = BatchNormOptions { eps: 0.0, ..Default::default() };
        let y = x.batch_norm2d_eval(&one, &zero, &running, options).unwrap();
        assert_eq!(y.to_vec().unwrap(), [1.0; 5], "{family}");
        assert_eq!(running.mean.to_vec().unwrap(), [0.25; 5]);
        assert_eq!(running.var.to_vec().unwrap(), [4.0; 5]);
        assert_eq!(running.batches.item().unwrap(), 0.0);
    }
}

#[test]
fn two_runs_agree_to_the_bit() {
    for (family, gpu) in table::gpus() {
        let mut sampler = Sampler::new(3);
        let [x, dy] = [(); 2].map(|()| upload(&gpu, &sampler.uniform(&[19, 4, 6, 6], -1.0, 1.0)));
        let [weight, bias] = [(); 2].map(|()| upload(&gpu, &sampler.uniform(&[4], -1.0, 1.0)).tracked());
        let run = || {
            let x = x.tracked();
            let running = table::norms::running(&gpu, &[Array::zeros(&[4]), Array::zeros(&[4])]).unwrap();
            let options = BatchNormOptions { relu: true, ..Default::default() };
            let y = x.batch_norm2d(&weight, &bias, &running, options).unwrap();
            let gradients = y.backward_from(&dy).unwrap();
            let all = [&y, &running.mean, &running.var].into_iter();
            let all = all.chain([&x, &weight, &bias].map(|leaf| gradients.get(leaf).unwrap()));
            all.flat_map(|t| t.to_vec().unwrap()).map(f32::to_bits).collect::<Vec<u32>>()
        };
        assert_eq!(run(), run(), "{family}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let gpu = Gpu::builder().quiet().build().unwrap();
    let tensor = |shape: &[usize]| Tensor::zeros(&gpu, shape).unwrap();
    let running = table::norms::running(&gpu, &[Array::zeros(&[3]), Array::zeros(&[3])]).unwrap();
    let normal = BatchNormOptions::default();
    let refused = |x: &[usize], w: &[usize], options: BatchNormOptions, part: &str| {
        let error =
            tensor(x).batch_norm2d(&tensor(w), &tensor(&[3]), &running, options).unwrap_err().to_string();
        assert!(error.contains("batch_norm2d") && error.contains(part), "no {part:?} in: {error}");
    };
    refused(&[2, 3, 4], &[3], normal, "[2, 3, 4]");
    refused(&[2, 4, 4, 4], &[3], normal, "expected [4]");
    refused(&[2, 3, 4, 4], &[3, 1], normal, "weight [3, 1]");
    refused(&[1, 3, 1, 1], &[3], normal, "one value a channel");
    refused(&[2, 3, 4, 4], &[3], BatchNormOptions { eps: -1.0, ..normal }, "eps -1");
    refused(&[2, 3, 4, 4], &[3], BatchNormOptions { eps: f32::NAN, ..normal }, "eps NaN");
    refused(&[2, 3, 4, 4], &[3], BatchNormOptions { momentum: 1.5, ..normal }, "momentum 1.5");
    // More values a channel than the lanes of a workgroup may visit.
    let [x, one] = [tensor(&[1, 1, 2897, 2897]), tensor(&[1])];
    let running = table::norms::running(&gpu, &[Array::zeros(&[1]), Array::zeros(&[1])]).unwrap();
    let error = x.batch_norm2d(&one, &one, &running, normal).unwrap_err().to_string();
    assert!(error.contains("loop iterations"), "{error}");
}

/// Channels so long that one invocation, or one subgroup, would visit more of it than a loop may have iterations.
#[test]
fn long_channels_are_shared_by_more_lanes() {
    for (family, gpu) in table::gpus() {
        for side in [261, 543] {
            let mut sampler = Sampler::new(4);
            let x = rounded(&sampler.uniform(&[1, 1, side, side], -1.0, 3.0));
            let [one, zero] = [1.0, 0.0].map(|value| Tensor::full(&gpu, &[1], value).unwrap());
            let running = table::norms::running(&gpu, &[Array::zeros(&[1]), Array::zeros(&[1])]).unwrap();
            let options = BatchNormOptions { momentum: 1.0, ..Default::default() };
            let y = upload(&gpu, &x).batch_norm2d(&one, &zero, &running, options).unwrap();
            let moments = r::channel_moments(&x);
            let want = r::batch_norm2d(&x, &Array::full(&[1], 1.0), &Array::zeros(&[1]), &moments, 1e-5);
            assert_close(&format!("y of {side} ({family})"), &y.to_vec().unwrap(), &want, 1e-5, 1e-5);
            assert_close("mean", &running.mean.to_vec().unwrap(), &moments[0], 1e-5, 0.0);
        }
    }
}
