//! Batch normalisation.

use wgrad_autograd::{BatchNormOptions, Gpu, Result, RunningStats, Tensor};
use wgrad_testkit::{Array, reference as r, sample::Sampler};

use super::{Row, UNIT, row};

const EPS: f32 = 1e-3;

/// Odd sizes by one element and even ones by vec4; more channels than a group of eight, and blocks with a rest.
const CASES: &[&[&[usize]]] = &[
    &[&[2, 1, 1, 1], &[1], &[1]],
    &[&[3, 2, 2, 2], &[2], &[2]],
    &[&[2, 3, 3, 5], &[3], &[3]],
    &[&[3, 9, 4, 2], &[9], &[9]],
    &[&[9, 2, 7, 7], &[2], &[2]],
    &[&[70, 3, 8, 8], &[3], &[3]],
];

pub fn rows() -> Vec<Row> {
    [false, true].into_iter().flat_map(|relu| [training(relu), evaluation(relu)]).collect()
}

fn options(relu: bool) -> BatchNormOptions {
    BatchNormOptions { eps: EPS, relu, ..Default::default() }
}

/// Running estimates of `c` channels, the same at each call.
fn estimates(c: usize) -> [Array; 2] {
    let mut sampler = Sampler::new(41);
    [sampler.uniform(&[c], -0.5, 0.5), sampler.uniform(&[c], 0.2, 2.0)]
}

pub fn running(gpu: &Gpu, [mean, var]: &[Array; 2]) -> Result<RunningStats> {
    let upload = |x: &Array| Tensor::from_slice(gpu, &x.to_f32(), &x.shape);
    Ok(RunningStats { mean: upload(mean)?, var: upload(var)?, batches: Tensor::zeros(gpu, &[])? })
}

fn normalised(x: &[Array], moments: &[Array; 2], relu: bool) -> Array {
    let y = r::batch_norm2d(&x[0], &x[1], &x[2], moments, f64::from(EPS));
    if relu { r::relu(&y) } else { y }
}

fn training(relu: bool) -> Row {
    let op = move |x: &[Tensor]| {
        let running = running(x[0].gpu(), &estimates(x[1].numel()))?;
        x[0].batch_norm2d(&x[1], &x[2], &running, options(relu))
    };
    let reference = move |x: &[Array]| normalised(x, &r::channel_moments(&x[0]), relu);
    row(format!("batch_norm2d, relu {relu}"), CASES, UNIT, op, reference).terms(|x| x[0].len() / x[1].len())
}

fn evaluation(relu: bool) -> Row {
    let op = move |x: &[Tensor]| {
        let running = running(x[0].gpu(), &estimates(x[1].numel()))?;
        x[0].batch_norm2d_eval(&x[1], &x[2], &running, options(relu))
    };
    let reference = move |x: &[Array]| normalised(x, &estimates(x[1].len()), relu);
    row(format!("batch_norm2d_eval, relu {relu}"), CASES, UNIT, op, reference)
        .terms(|x| x[0].len() / x[1].len())
}
