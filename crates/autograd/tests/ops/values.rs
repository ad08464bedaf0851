//! Values that users of other engines found wrong there: single cases beside the table's pass over special values.

use wgrad_autograd::device::Family;
use wgrad_autograd::{Conv2dOptions, Gpu, Pool2dOptions, Tensor};
use wgrad_testkit::{Array, compare::assert_close, reference, sample::Sampler};

fn gpus() -> [Gpu; 2] {
    [Family::Cpu, Family::Gpu].map(|family| Gpu::builder().quiet().poison().family(family).build().unwrap())
}

fn vector(gpu: &Gpu, values: &[f32]) -> Tensor {
    Tensor::from_slice(gpu, values, &[values.len()]).unwrap()
}

fn gradient(y: &Tensor, x: &Tensor) -> Vec<f32> {
    y.backward_from(&Tensor::full(x.gpu(), y.shape(), 1.0).unwrap())
        .unwrap()
        .get(x)
        .unwrap()
        .to_vec()
        .unwrap()
}

/// The relative error, where `want` is not 0.
#[track_caller]
fn close(got: f32, want: f64) {
    assert!((f64::from(got) - want).abs() <= 1e-5 * want.abs(), "{got:e}, want {want:e}");
}

#[test]
fn cross_entropy_of_large_logits_does_not_cancel() {
    for gpu in gpus() {
        for size in [1e4, 1e6, 1e8, 3e38] {
            let x = Tensor::full(&gpu, &[1, 3], size).unwrap();
            for (smoothing, want) in [(0.0, 3.0f64.ln()), (0.1, 3.0f64.ln())] {
                let loss =
                    x.cross_entropy(&Tensor::from_slice(&gpu, &[1], &[1]).unwrap(), smoothing).unwrap();
                close(loss.item().unwrap(), want);
            }
        }
        let x = Tensor::from_slice(&gpu, &[1e6 + 2.0, 1e6], &[1, 2]).unwrap();
        let loss = |label, smoothing| {
            x.cross_entropy(&Tensor::from_slice(&gpu, &[label], &[1]).unwrap(), smoothing)
                .unwrap()
                .item()
                .unwrap()
        };
        close(loss(0, 0.0), (-2.0f64).exp().ln_1p());
        close(loss(1, 0.0), 2.0 + (-2.0f64).exp().ln_1p());
        close(loss(0, 0.5), 0.25 * 2.0 + (-2.0f64).exp().ln_1p());
        // A confident loss keeps its digits: the sum of exponentials is hardly more than 1.
        let x = Tensor::from_slice(&gpu, &[12.0, 0.0, -1.0], &[1, 3]).unwrap();
        let loss =
            x.cross_entropy(&Tensor::from_slice(&gpu, &[0], &[1]).unwrap(), 0.0).unwrap().item().unwrap();
        let want = ((-12.0f64).exp() + (-13.0f64).exp()).ln_1p();
        assert!((f64::from(loss) - want).abs() < 0.02 * want, "{loss:e}, want {want:e}");
    }
}

#[test]
fn a_label_that_is_no_class_poisons_loss_and_gradient_of_its_row() {
    for gpu in gpus() {
        let x = Sampler::new(3).uniform(&[3, 3], -1.0, 1.0).to_f32();
        let x = Tensor::from_slice(&gpu, &x, &[3, 3]).unwrap().tracked();
        for label in [3, 7, -1] {
            let loss =
                x.cross_entropy(&Tensor::from_slice(&gpu, &[1, label, 2], &[3]).unwrap(), 0.1).unwrap();
            assert!(loss.item().unwrap().is_nan());
            let dx = gradient(&loss, &x);
            assert!(dx[3..6].iter().all(|v| v.is_nan()), "{dx:?}");
            assert!(dx[..3].iter().chain(&dx[6..]).all(|v| v.is_finite()), "{dx:?}");
        }
    }
}

#[test]
fn nan_is_the_maximum_wherever_it_stands() {
    for gpu in gpus() {
        for n in [4, 5, 8, 300, 5000] {
            for at in [0, 1, n / 2, n - 1] {
                let mut values: Vec<f32> = (0..n).map(|i| (i % 7) as f32).collect();
                values[at] = f32::NAN;
                let x = vector(&gpu, &values).tracked();
                let y = x.max_all().unwrap();
                assert!(y.item().unwrap().is_nan(), "{n} values, NaN at {at}");
                assert!(gradient(&y, &x).iter().all(|v| v.is_nan()), "{n} values, NaN at {at}");
                assert_eq!(x.argmax(0).unwrap().to_vec_as::<i32>().unwrap(), [at as i32]);
                // The first of several.
                values[n - 1] = f32::NAN;
                assert_eq!(vector(&gpu, &values).argmax(0).unwrap().to_vec_as::<i32>().unwrap(), [at as i32]);
            }
        }
        let infinite = vector(&gpu, &[1.0, f32::INFINITY, f32::NEG_INFINITY, f32::INFINITY]).tracked();
        assert_eq!(infinite.argmax(0).unwrap().to_vec_as::<i32>().unwrap(), [1]);
        assert_eq!(gradient(&infinite.max_all().unwrap(), &infinite), [0.0, 0.5, 0.0, 0.5]);
        let lowest = vector(&gpu, &[f32::NEG_INFINITY; 2]).tracked();
        assert_eq!(lowest.argmax(0).unwrap().to_vec_as::<i32>().unwrap(), [0]);
        assert_eq!(gradient(&lowest.max_all().unwrap(), &lowest), [0.5, 0.5]);
    }
}

#[test]
fn clamp_has_no_gradient_on_its_bounds() {
    for gpu in gpus() {
        let x = vector(&gpu, &[-1.0, 2.0, 0.0, f32::NAN, -1.5, 3.0]).tracked();
        let y = x.clamp(-1.0, 2.0).unwrap();
        let values = y.to_vec().unwrap();
        assert!(values[3].is_nan());
        assert_eq!([values[0], values[1], values[2], values[4], values[5]], [-1.0, 2.0, 0.0, -1.0, 2.0]);
        assert_eq!(gradient(&y, &x), [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    }
}

#[test]
fn relu_passes_the_gradient_of_nan_on_and_stops_an_infinite_one() {
    for gpu in gpus() {
        let x = vector(&gpu, &[f32::NAN, -1.0, 0.0, 2.0]).tracked();
        let y = x.relu().unwrap();
        let dy = vector(&gpu, &[3.0, f32::INFINITY, f32::NAN, f32::INFINITY]);
        let dx = y.backward_from(&dy).unwrap().get(&x).unwrap().to_vec().unwrap();
        assert_eq!(dx, [3.0, 0.0, 0.0, f32::INFINITY]);
    }
}

#[test]
fn small_values_keep_their_digits() {
    for gpu in gpus() {
        let values = [-17.0f32, -30.0, -80.0, 1e-8, -1e-8, 1e-3, 15.0];
        let x = vector(&gpu, &values);
        for (i, &v) in values.iter().enumerate() {
            let v = f64::from(v);
            close(x.softplus().unwrap().to_vec().unwrap()[i], v.max(0.0) + (-v.abs()).exp().ln_1p());
            close(x.tanh().unwrap().to_vec().unwrap()[i], v.tanh());
            close(x.expm1().unwrap().to_vec().unwrap()[i], v.exp_m1());
        }
        let x = vector(&gpu, &[1e-40, 1e-45, 1.0 + 1e-6, 1.0 - 6e-8]);
        let logs = x.log().unwrap().to_vec().unwrap();
        for (got, x) in logs.iter().zip(x.to_vec().unwrap()) {
            close(*got, f64::from(x).ln());
        }
    }
}

#[test]
fn bce_of_confident_logits_keeps_its_digits() {
    for gpu in gpus() {
        for (x, t) in
            [(15.0, 1.0), (-15.0, 0.0), (30.0, 1.0), (-60.0, 0.0), (15.0, 0.0), (-15.0, 1.0), (2.0, 0.25)]
        {
            let [logit, target] = [x, t].map(|v: f64| vector(&gpu, &[v as f32]).tracked());
            let loss = logit.bce_with_logits(&target).unwrap();
            let power = (-x.abs()).exp();
            close(loss.item().unwrap(), (if x > 0.0 { x * (1.0 - t) } else { -x * t }) + power.ln_1p());
            let small = power / (1.0 + power);
            close(gradient(&loss, &logit)[0], if x > 0.0 { (1.0 - t) - small } else { small - t });
        }
    }
}

/// A network all of whose first layer is NaN must not train on with a finite loss.
#[test]
fn a_diverged_layer_shows_in_the_loss() {
    for gpu in gpus() {
        let x = Tensor::full(&gpu, &[4, 8, 8, 8], 0.5).unwrap();
        let w = Tensor::full(&gpu, &[8, 8, 3, 3], f32::NAN).unwrap().tracked();
        let options = Conv2dOptions { padding: [1, 1], ..Default::default() };
        let labels = Tensor::from_slice(&gpu, &[0, 1, 2, 3], &[4]).unwrap();
        type Step = fn(&Tensor) -> wgrad_autograd::Result<Tensor>;
        let steps: [Step; 8] = [
            Tensor::relu,
            Tensor::tanh,
            Tensor::sigmoid,
            Tensor::gelu,
            |y| y.clamp(-1.0, 1.0),
            |y| y.max_pool2d(Pool2dOptions::square(2)),
            |y| y.max_pool2d(Pool2dOptions { kernel: [3, 3], stride: [2, 2], padding: [1, 1] }),
            |y| y.dropout(0.9, 1, 2),
        ];
        for (i, step) in steps.iter().enumerate() {
            let y = x.conv2d(&w, None, options).unwrap();
            let loss = step(&y).unwrap().max(&[2, 3]).unwrap().cross_entropy(&labels, 0.0).unwrap();
            assert!(loss.item().unwrap().is_nan(), "step {i}");
            assert!(gradient(&loss, &w).iter().all(|v| v.is_nan() || *v == 0.0), "step {i}");
        }
    }
}

/// Every pair of special values.
#[test]
fn pairs_of_special_values() {
    let specials = crate::table::specials::SPECIALS;
    let pairs = || specials.iter().flat_map(|&a| specials.iter().map(move |&b| (a, b)));
    let (a, b): (Vec<f32>, Vec<f32>) = pairs().map(|(a, b)| (a as f32, b as f32)).unzip();
    type Op = (&'static str, fn(&Tensor, &Tensor) -> wgrad_autograd::Result<Tensor>, fn(f64, f64) -> f64);
    let ops: [Op; 4] = [
        ("+", Tensor::add, |a, b| a + b),
        ("-", Tensor::sub, |a, b| a - b),
        ("*", Tensor::mul, |a, b| a * b),
        ("/", Tensor::div, |a, b| a / b),
    ];
    for gpu in gpus() {
        for (name, op, reference) in ops {
            let got = op(&vector(&gpu, &a), &vector(&gpu, &b)).unwrap().to_vec().unwrap();
            for (i, got) in got.into_iter().enumerate() {
                // A subnormal operand may be taken for 0.
                let flushed =
                    |v: f32| [v, if v.is_subnormal() { 0.0f32.copysign(v) } else { v }].map(f64::from);
                let [a, b] = [flushed(a[i]), flushed(b[i])];
                let mut all = a.iter().flat_map(|&a| b.iter().map(move |&b| reference(a, b)));
                assert!(
                    all.any(|want| crate::table::specials::agrees(got, want, 1e-6 * want.abs())),
                    "{} {name} {} is {got:e}",
                    a[0],
                    b[0]
                );
            }
        }
        let got = vector(&gpu, &a).equal(&vector(&gpu, &b)).unwrap().to_vec().unwrap();
        for (i, got) in got.into_iter().enumerate() {
            let flushed = a[i].is_subnormal() || b[i].is_subnormal();
            assert!(flushed || got == f32::from(a[i] == b[i]), "{} equal {}: {got}", a[i], b[i]);
        }
        let x = vector(&gpu, &a);
        assert!(
            x.equal(&x)
                .unwrap()
                .to_vec()
                .unwrap()
                .iter()
                .zip(&a)
                .all(|(got, v)| *got == f32::from(!v.is_nan()))
        );
    }
}

/// Axes and windows exactly as long as an invocation may loop over, and what lies beyond.
#[test]
fn loops_at_their_limit() {
    for gpu in gpus() {
        let mut sampler = Sampler::new(8);
        let upload = |x: &Array| Tensor::from_slice(&gpu, &x.to_f32(), &x.shape).unwrap();
        // Softmax and what is like it, which are cut into chunks.
        let x = sampler.uniform(&[2, 21_844], -2.0, 2.0);
        let tracked = upload(&x).tracked();
        let y = tracked.softmax().unwrap();
        assert_close("softmax", &y.to_vec().unwrap(), &reference::softmax(&x), 1e-4, 1e-9);
        let logs = tracked.log_softmax().unwrap();
        assert_close("log_softmax", &logs.to_vec().unwrap(), &reference::log_softmax(&x), 1e-4, 1e-4);
        let labels = [21_843, 5];
        let loss = tracked
            .cross_entropy(&Tensor::from_slice(&gpu, &labels.map(|l| l as i32), &[2]).unwrap(), 0.1)
            .unwrap();
        let want = reference::cross_entropy(&x, &labels, 0.1);
        assert_close("cross_entropy", &loss.to_vec().unwrap(), &want, 1e-5, 0.0);
        let dx = gradient(&loss, &tracked);
        let p = reference::softmax(&x);
        let dloss = |(i, p): (usize, &f64)| {
            let target = 0.1 / 21_844.0 + if labels[i / 21_844] == i % 21_844 { 0.9 } else { 0.0 };
            (p - target) / 2.0
        };
        let want = Array::new(&x.shape, p.data.iter().enumerate().map(dloss).collect());
        assert_close("cross_entropy, gradient", &dx, &want, 1e-4, 1e-8);
        let dy = sampler.uniform(&x.shape, -1.0, 1.0);
        let got = y.backward_from(&upload(&dy)).unwrap().get(&tracked).unwrap().to_vec().unwrap();
        let dots: Vec<f64> = (0..2)
            .map(|r| (0..21_844).map(|c| p.data[r * 21_844 + c] * dy.data[r * 21_844 + c]).sum())
            .collect();
        let want = (0..p.len()).map(|i| p.data[i] * (dy.data[i] - dots[i / 21_844])).collect();
        assert_close("softmax, gradient", &got, &Array::new(&x.shape, want), 1e-3, 1e-8);
        // argmax: the maximum stands last.
        let mut values = vec![0.0; 65_535];
        values[65_534] = 1.0;
        assert_eq!(vector(&gpu, &values).argmax(0).unwrap().to_vec_as::<i32>().unwrap(), [65_534]);
        values.push(2.0);
        let longer = vector(&gpu, &values);
        assert_eq!(longer.argmax(0).unwrap().to_vec_as::<i32>().unwrap(), [65_535]);
        // Sums and maxima go in stages of any number.
        assert_eq!(longer.sum_all().unwrap().item().unwrap(), 3.0);
        assert_eq!(longer.max_all().unwrap().item().unwrap(), 2.0);
        // Products: k beyond the longest sum of one invocation.
        let (a, b) = (sampler.uniform(&[3, 40_001], -1.0, 1.0), sampler.uniform(&[40_001, 5], -1.0, 1.0));
        let got = upload(&a).matmul(&upload(&b)).unwrap().to_vec().unwrap();
        assert_close("matmul", &got, &reference::matmul(&a, &b, false, false), 1e-4, 3e-3);
    }
}

#[test]
fn pooling_windows_of_any_size() {
    for gpu in gpus() {
        // At the edge of one invocation's loops, beyond it, and beyond what a window's edge alone may have in one.
        for [h, w] in [
            [254, 256],
            [255, 256],
            [256, 255],
            [2, 65_532],
            [300, 300],
            [1, 65_532],
            [21_844, 1],
            [21_844, 3],
        ] {
            let n = h * w;
            let mut values: Vec<f32> = (0..n).map(|i| ((i * 7919) % 1009) as f32 / 2048.0).collect();
            // The last pixel, and the first of two equal maxima.
            for (at, second) in [(n - 1, n - 1), (n / 3, n - 1)] {
                (values[at], values[second]) = (1.0, 1.0);
                let x = Tensor::from_slice(&gpu, &values, &[1, 1, h, w]).unwrap().tracked();
                let whole = Pool2dOptions { kernel: [h, w], stride: [h, w], padding: [0; 2] };
                let y = x.max_pool2d(whole).unwrap();
                assert_eq!(y.to_vec().unwrap(), [1.0], "{h} × {w}");
                let dx = gradient(&y, &x);
                assert_eq!(dx[at], 1.0, "{h} × {w}");
                assert_eq!(dx.iter().sum::<f32>(), 1.0, "{h} × {w}");
                let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n as f64;
                let y = x.avg_pool2d(whole).unwrap();
                assert!((f64::from(y.item().unwrap()) / mean - 1.0).abs() < 1e-3, "{h} × {w}");
                let dx = gradient(&y, &x);
                assert!(dx.iter().all(|v| (v * n as f32 - 1.0).abs() < 1e-4), "{h} × {w}");
            }
        }
        // Padded and overlapping, in two steps where loops are limited.
        let options = Pool2dOptions { kernel: [256, 257], stride: [3, 5], padding: [128, 1] };
        let x = Sampler::new(1).distinct(&[1, 1, 130, 262]);
        let tensor = Tensor::from_slice(&gpu, &x.to_f32(), &x.shape).unwrap();
        let want = reference::max_pool2d(&x, options.kernel, options.stride, options.padding);
        assert_close("max", &tensor.max_pool2d(options).unwrap().to_vec().unwrap(), &want, 0.0, 0.0);
        let want = reference::avg_pool2d(&x, options.kernel, options.stride, options.padding);
        assert_close("mean", &tensor.avg_pool2d(options).unwrap().to_vec().unwrap(), &want, 1e-3, 1e-6);
        if gpu.loop_limit() != u64::MAX {
            let x = Tensor::zeros(&gpu, &[1, 1, 1, 65_534]).unwrap();
            let whole = Pool2dOptions { kernel: [1, 65_533], stride: [1, 1], padding: [0; 2] };
            let error = x.max_pool2d(whole).unwrap_err().to_string();
            assert!(
                error.contains("max_pool2d") && error.contains("1 × 65533") && error.contains("65532"),
                "{error}"
            );
        }
    }
}

/// Batch norm at the longest channels of each way of working on them.
#[test]
fn batch_norm_at_the_limit_of_its_loops() {
    use wgrad_autograd::{BatchNormOptions, RunningStats};
    for gpu in gpus() {
        // 32,751 visits of an invocation: of eight lanes, and of a workgroup's 256.
        for count in [32_751 * 8, 32_752 * 8 + 1, 32_751 * 256, 32_752 * 256 - 1] {
            let values: Vec<f32> = (0..count).map(|i| ((i * 7919) % 1021) as f32 / 512.0).collect();
            let x = Tensor::from_slice(&gpu, &values, &[1, 1, 1, count]).unwrap();
            let one = |value| Tensor::full(&gpu, &[1], value).unwrap();
            let batches = Tensor::zeros(&gpu, &[]).unwrap();
            let running = RunningStats { mean: one(0.0), var: one(1.0), batches };
            let result = x.batch_norm2d(&one(1.0), &one(0.0), &running, BatchNormOptions::default());
            if count == 32_752 * 256 - 1 && gpu.loop_limit() != u64::MAX {
                assert!(result.is_err());
                continue;
            }
            let y = result.unwrap().to_vec().unwrap();
            let n = count as f64;
            let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
            let var = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
            let scale = 1.0 / (var + 1e-5).sqrt();
            for (i, (y, x)) in y.iter().zip(&values).enumerate() {
                let want = (f64::from(*x) - mean) * scale;
                assert!((f64::from(*y) - want).abs() < 1e-3, "{count} values: {i} is {y}, want {want}");
            }
        }
    }
}
