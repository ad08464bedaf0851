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
