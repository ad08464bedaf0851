//! Reductions and ops over rows of any length, against f64.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use wgrad_autograd::device::Family;
use wgrad_autograd::{CrossEntropyOptions, DType, Error, Gpu, Result, Tensor};
use wgrad_testkit::compare::assert_close;
use wgrad_testkit::{Array, reference as r, sample::Sampler};

fn gpus() -> [(&'static str, Gpu); 2] {
    let build = |family| Gpu::builder().family(family).poison().quiet().build().unwrap();
    [("cpu", build(Family::Cpu)), ("gpu", build(Family::Gpu))]
}

fn upload(gpu: &Gpu, x: &Array) -> Tensor {
    Tensor::from_slice(gpu, &x.to_f32(), &x.shape).unwrap()
}

type Forward = fn(&Tensor) -> Result<Tensor>;
type Reference = fn(&Array) -> Array;

/// Each length class of every skeleton: one lane, a subgroup, a workgroup, chunks; by elements and by quads.
#[test]
fn rows_of_any_length() {
    let ops: [(&str, Forward, Reference); 8] = [
        ("sum", |x| x.sum(&[-1]), |x| r::sum(x, &[1], false)),
        ("min", |x| x.min(&[-1]), |x| r::min(x, &[1], false)),
        ("var", |x| x.var(&[-1], 1), |x| r::var(x, &[1], 1, false)),
        ("logsumexp", |x| x.logsumexp(&[-1]), |x| r::logsumexp(x, &[1], false)),
        ("argmax", |x| x.argmax(-1), |x| r::argmax(x, 1, false)),
        ("softmax", Tensor::softmax, r::softmax),
        ("log_softmax", Tensor::log_softmax, r::log_softmax),
        ("columns", |x| x.sum(&[0]), |x| r::sum(x, &[0], false)),
    ];
    let gpus = gpus();
    for shape in [[3, 10], [5, 256], [2, 1001], [3, 5000], [1, 50_257], [2, 262_144], [5000, 3], [2, 4099]] {
        let x = Sampler::new(3).uniform(&shape, -3.0, 3.0);
        let x = Array::from_f32(&shape, &x.to_f32());
        for (name, op, reference) in ops {
            let want = reference(&x);
            for (family, gpu) in &gpus {
                let got = op(&upload(gpu, &x)).unwrap();
                let values = match got.dtype() {
                    DType::I32 => got.to_vec_as::<i32>().unwrap().into_iter().map(|v| v as f32).collect(),
                    _ => got.to_vec().unwrap(),
                };
                let name = format!("{name} of {shape:?} ({family})");
                assert_eq!(got.shape(), want.shape, "{name}");
                // Sums of so many terms of the order of 1.
                let atol = if name.starts_with("sum") || name.starts_with("col") { 2e-3 } else { 1e-6 };
                assert_close(&name, &values, &want, 1e-4, atol);
            }
        }
    }
}

/// The loss of a language model's vocabularies, and its gradient.
#[test]
fn cross_entropy_over_262144_classes() {
    for (family, gpu) in &gpus() {
        for (n, classes, smoothing) in [(3, 50_257, 0.1), (2, 262_144, 0.0)] {
            let mut sampler = Sampler::new(5);
            let x = Array::from_f32(&[n, classes], &sampler.uniform(&[n, classes], -4.0, 4.0).to_f32());
            let labels = sampler.labels(n, classes);
            let tracked = upload(gpu, &x).tracked();
            let own: Vec<i32> = labels.iter().map(|&label| label as i32).collect();
            let loss =
                tracked.cross_entropy(&Tensor::from_slice(gpu, &own, &[n]).unwrap(), smoothing).unwrap();
            let want = r::cross_entropy(&x, &labels, f64::from(smoothing));
            let name = format!("{n} × {classes} ({family})");
            assert_close(&name, &loss.to_vec().unwrap(), &want, 1e-5, 0.0);
            let dx = loss.backward().unwrap().take(&tracked).unwrap().to_vec().unwrap();
            let p = r::softmax(&x);
            let (spread, hit) = (f64::from(smoothing) / classes as f64, 1.0 - f64::from(smoothing));
            let target = |i: usize| spread + if labels[i / classes] == i % classes { hit } else { 0.0 };
            let want = (0..p.len()).map(|i| (p.data[i] - target(i)) / n as f64).collect();
            assert_close(&name, &dx, &Array::new(&x.shape, want), 1e-4, 1e-10);
        }
    }
}

/// A classifier of 50,257 classes learns what it is shown.
#[test]
fn a_vocabulary_of_50257_trains() -> Result<()> {
    let gpu = Gpu::builder().quiet().build()?;
    let (tokens, features, vocabulary) = (8, 16, 50_257);
    let x = upload(&gpu, &Sampler::new(1).uniform(&[tokens, features], -1.0, 1.0));
    let mut weight = Tensor::zeros(&gpu, &[vocabulary, features])?;
    let labels: Vec<i32> = (0..tokens as i32).map(|i| i * 6_000).collect();
    let labels = Tensor::from_slice(&gpu, &labels, &[tokens])?;
    let mut losses = Vec::new();
    for _ in 0..12 {
        let w = weight.tracked();
        let loss = x.linear(&w, None)?.cross_entropy(&labels, 0.0)?;
        let gradients = loss.backward()?;
        weight = weight.sub(&gradients.get(&w).unwrap().mul_add_scalar(20.0, 0.0)?)?;
        losses.push(loss.item()?);
    }
    // At first every class is as likely as any other.
    assert!((losses[0] - (vocabulary as f32).ln()).abs() < 1e-3, "{losses:?}");
    assert!(losses[11] < 0.5, "{losses:?}");
    Ok(())
}

#[test]
fn reductions_of_nothing() -> Result<()> {
    for (_, gpu) in gpus() {
        let none = Tensor::zeros(&gpu, &[2, 0])?;
        assert_eq!(none.sum(&[1])?.to_vec()?, [0.0; 2]);
        assert_eq!(none.prod(&[1])?.to_vec()?, [1.0; 2]);
        assert_eq!(none.logsumexp(&[1])?.to_vec()?, [f32::NEG_INFINITY; 2]);
        assert!(none.mean(&[1])?.to_vec()?.iter().all(|v| v.is_nan()));
        assert!(none.var(&[1], 0)?.to_vec()?.iter().all(|v| v.is_nan()));
        assert_eq!(none.sum(&[0])?.shape(), [0]);
        assert_eq!(none.softmax()?.shape(), [2, 0]);
        assert_eq!(none.layer_norm(None, None, 1e-5)?.shape(), [2, 0]);
        assert!(matches!(none.max_all(), Err(Error::Shape { op: "max", .. })));
        assert!(matches!(none.argmax(1), Err(Error::Shape { op: "argmax", .. })));
        let integers = Tensor::from_slice::<i32>(&gpu, &[], &[0])?;
        assert_eq!(integers.sum(&[0])?.to_vec_as::<i32>()?, [0]);
        assert!(matches!(integers.mean(&[0]), Err(Error::DType { op: "mean", .. })));
    }
    Ok(())
}

/// What PyTorch 2.15 gives where a formula has a hole.
#[test]
fn gradients_at_zeros() -> Result<()> {
    for (_, gpu) in gpus() {
        let gradient = |x: &[f32], f: Forward| -> Result<Vec<f32>> {
            let x = Tensor::from_slice(&gpu, x, &[x.len()])?.tracked();
            f(&x)?.backward()?.get(&x).unwrap().to_vec()
        };
        let prod: Forward = |x| x.prod(&[0]);
        assert_eq!(gradient(&[2.0, 0.0, -3.0], prod)?, [0.0, -6.0, 0.0]);
        assert_eq!(gradient(&[2.0, 0.0, 0.0], prod)?, [0.0; 3]);
        assert_eq!(gradient(&[0.0, 0.0], |x| x.norm(&[0]))?, [0.0; 2]);
        assert_eq!(gradient(&[5.0, 5.0], |x| x.std(&[0], 1))?, [0.0; 2]);
        assert_eq!(gradient(&[1.0, -2.0, -2.0], |x| x.min(&[0]))?, [0.0, 0.5, 0.5]);
        let one = Tensor::from_slice(&gpu, &[7.0], &[1])?;
        assert!(one.var(&[0], 1)?.item()?.is_nan());
        // All rows ignored, and a label that is no class.
        let x = Tensor::from_slice(&gpu, &[1.0, 2.0, 3.0, 4.0], &[2, 2])?.tracked();
        let labels = Tensor::from_slice(&gpu, &[-100, -100], &[2])?;
        let options = CrossEntropyOptions { ignore_index: Some(-100), ..Default::default() };
        assert!(x.cross_entropy_with(&labels, options)?.item()?.is_nan());
        let loss = x.cross_entropy(&labels, 0.0)?;
        assert!(
            loss.item()?.is_nan() && loss.backward()?.get(&x).unwrap().to_vec()?.iter().all(|v| v.is_nan())
        );
    }
    Ok(())
}

#[test]
fn dimensions_are_kept_where_asked() -> Result<()> {
    let gpu = Gpu::builder().quiet().build()?;
    let x = Tensor::zeros(&gpu, &[2, 3, 4, 5])?;
    assert_eq!(x.sum(&[1, -1])?.keepdim(&[1, -1])?.shape(), [2, 1, 4, 1]);
    assert_eq!(x.mean(&[0])?.keepdim(&[0])?.shape(), [1, 3, 4, 5]);
    assert!(x.keepdim(&[7]).is_err());
    Ok(())
}

#[test]
fn the_largest_elements_come_in_order() -> Result<()> {
    for (family, gpu) in gpus() {
        // Ties, infinities and a NaN.
        let x = [1.0, 3.0, f32::NAN, 3.0, f32::NEG_INFINITY, f32::INFINITY, -2.0, 3.0];
        let (values, indices) = Tensor::from_slice(&gpu, &x, &[1, 8])?.topk(8)?;
        assert_eq!(indices.to_vec_as::<i32>()?, [2, 5, 1, 3, 7, 0, 6, 4], "{family}");
        assert_eq!(values.to_vec()?[1..4], [f32::INFINITY, 3.0, 3.0]);
        let x = Sampler::new(4).uniform(&[3, 5000], -1.0, 1.0).map(|v| (v * 100.0).round());
        let (values, indices) = upload(&gpu, &x).topk(5)?;
        let [want, at] = r::topk(&x, 5);
        assert_eq!(values.to_vec()?, want.to_f32(), "{family}");
        assert_eq!(indices.to_vec_as::<i32>()?.iter().map(|&i| f64::from(i)).collect::<Vec<_>>(), at.data);
        assert!(upload(&gpu, &x).topk(5001).is_err());
        let integers = Tensor::from_slice(&gpu, &[1, -2, 3, i32::MAX], &[4])?.cumsum(0)?;
        assert_eq!(integers.to_vec_as::<i32>()?, [1, -1, 2, i32::MIN + 1]);
    }
    Ok(())
}
