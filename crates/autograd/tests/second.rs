//! Second derivatives of ops, by differences of the first.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use wgrad_autograd::device::Family;
use wgrad_autograd::{CrossEntropyOptions, Error, Gpu, Pool2dOptions, Result, Tensor, grad};
use wgrad_testkit::compare::assert_close;
use wgrad_testkit::{Array, sample::Sampler};

type Op = fn(&[Tensor]) -> Result<Tensor>;

/// The gradient of each input of `Σ w · f(inputs)`, recorded; `w` follows from the shape.
fn first(op: Op, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    let y = op(inputs)?;
    let w = Sampler::new(99).uniform(y.shape(), 0.5, 1.5);
    let w = Tensor::from_slice(y.gpu(), &w.to_f32(), y.shape())?;
    let loss = y.mul(&w)?.sum_all()?;
    inputs.iter().map(|x| grad(&loss, [x]).map(|[dx]| dx)).collect()
}

/// Holds the gradient of `Σ v · (first gradient)` against central differences of the first gradient along random directions.
fn check(name: &str, gpu: &Gpu, op: Op, shapes: &[&[usize]]) -> Result<()> {
    let mut sampler = Sampler::new(7);
    let values: Vec<Array> = shapes.iter().map(|shape| sampler.uniform(shape, 0.5, 1.5)).collect();
    let directions: Vec<Array> = shapes.iter().map(|shape| sampler.uniform(shape, -1.0, 1.0)).collect();
    let upload = |x: &Array| Tensor::from_slice(gpu, &x.to_f32(), &x.shape).map(|x| x.tracked());
    let inputs: Vec<Tensor> = values.iter().map(upload).collect::<Result<_>>()?;
    let v: Vec<Tensor> = directions.iter().map(upload).collect::<Result<_>>()?;
    let mut along = Tensor::zeros(gpu, &[])?;
    for (dx, v) in first(op, &inputs)?.iter().zip(&v) {
        along = along.add(&dx.mul(v)?.sum_all()?)?;
    }
    let second: Vec<Tensor> = inputs.iter().map(|x| grad(&along, [x]).map(|[d]| d)).collect::<Result<_>>()?;
    // The Hessian is symmetric: its product with v is the change of the first gradient along v.
    let h = 1e-2;
    let at = |sign: f64| -> Result<Vec<Vec<f32>>> {
        let moved = values.iter().zip(&directions).map(|(x, d)| {
            let data = x.data.iter().zip(&d.data).map(|(x, d)| x + sign * h * d).collect();
            upload(&Array::new(&x.shape, data))
        });
        let moved: Vec<Tensor> = moved.collect::<Result<_>>()?;
        first(op, &moved)?.iter().map(Tensor::to_vec).collect()
    };
    let (above, below) = (at(1.0)?, at(-1.0)?);
    for (i, got) in second.iter().enumerate() {
        let pairs = above[i].iter().zip(&below[i]);
        let want = pairs.map(|(a, b)| (f64::from(*a) - f64::from(*b)) / (2.0 * h)).collect();
        // A difference of f32 at this step has some four digits.
        let name = format!("{name}, second derivative by input {i}");
        assert_close(&name, &got.to_vec()?, &Array::new(got.shape(), want), 3e-3, 1e-3);
    }
    Ok(())
}

#[test]
fn ops_have_second_derivatives() -> Result<()> {
    let matrix: &[&[usize]] = &[&[3, 5]];
    let ignored: Op = |x| {
        let options = CrossEntropyOptions { label_smoothing: 0.1, ignore_index: Some(4) };
        x[0].cross_entropy_with(&Tensor::from_slice(x[0].gpu(), &[0, 4, 2], &[3])?, options)
    };
    let overlapping: Op = |x| {
        x[0].avg_pool2d(Pool2dOptions { kernel: [3, 2], stride: [2, 1], padding: [1, 0] })?.square()
    };
    let ops: [(&str, Op, &[&[usize]]); 16] = [
        ("avg_pool2d", overlapping, &[&[1, 2, 5, 4]]),
        ("bce_with_logits", |x| x[0].bce_with_logits(&x[1]), &[&[3, 5], &[3, 5]]),
        ("cross_entropy, one ignored", ignored, matrix),
        ("cumsum", |x| x[0].cumsum(1)?.square(), matrix),
        ("sum", |x| x[0].square()?.sum(&[1])?.square(), matrix),
        ("mean", |x| x[0].square()?.mean(&[0])?.square(), matrix),
        ("max", |x| x[0].max(&[1])?.square(), matrix),
        ("min", |x| x[0].square()?.min(&[0])?.square(), matrix),
        ("var", |x| x[0].var(&[1], 1)?.square(), matrix),
        ("std", |x| x[0].std(&[1], 1), matrix),
        ("norm", |x| x[0].norm(&[0, 1]), matrix),
        ("logsumexp", |x| x[0].logsumexp(&[1]), matrix),
        ("softmax", |x| x[0].softmax(), matrix),
        ("log_softmax", |x| x[0].log_softmax(), matrix),
        (
            "cross_entropy",
            |x| x[0].cross_entropy(&Tensor::from_slice(x[0].gpu(), &[0, 4, 2], &[3])?, 0.1),
            matrix,
        ),
        ("layer_norm", |x| x[0].layer_norm(Some(&x[1]), Some(&x[2]), 1e-2), &[&[3, 5], &[5], &[5]]),
    ];
    for family in [Family::Cpu, Family::Gpu] {
        let gpu = Gpu::builder().family(family).poison().quiet().build()?;
        for (name, op, shapes) in ops {
            check(name, &gpu, op, shapes)?;
        }
        let x = Tensor::full(&gpu, &[3], 2.0)?.tracked();
        let [dx] = grad(&x.prod(&[0])?, [&x])?;
        let error = dx.sum_all()?.backward().unwrap_err();
        assert!(matches!(error, Error::NoSecondDerivative { op: "prod" }), "{error}");
    }
    Ok(())
}
