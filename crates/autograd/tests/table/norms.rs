//! Batch normalisation.

use wgrad_autograd::{BatchNormOptions, DType, Gpu, Result, RunningStats, Tensor};
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

/// Windows four at a time with a rest of blocks, and sizes that leave pooling to its own kernels.
const POOLED: &[&[&[usize]]] = &[
    &[&[2, 3, 2, 8], &[3], &[3]],
    &[&[3, 9, 4, 16], &[9], &[9]],
    &[&[17, 2, 6, 24], &[2], &[2]],
    &[&[2, 2, 5, 8], &[2], &[2]],
    &[&[2, 2, 4, 6], &[2], &[2]],
];

pub fn rows() -> Vec<Row> {
    let both = |cases, relu, max_pool| {
        let options = BatchNormOptions { eps: EPS, relu, max_pool, ..Default::default() };
        [training(cases, options), evaluation(cases, options), given_moments(cases, options)]
    };
    let mut rows = Vec::new();
    for relu in [false, true] {
        rows.extend(both(CASES, relu, false));
        rows.extend(both(POOLED, relu, true));
    }
    rows.extend(layer_norms());
    rows
}

/// By elements and by quads; rows of one invocation, and those that lanes share.
fn layer_norms() -> Vec<Row> {
    let shapes: &[&[&[usize]]] = &[
        &[&[3, 7], &[7], &[7]],
        &[&[2, 5, 8], &[8], &[8]],
        &[&[33, 20], &[20], &[20]],
        &[&[2, 68], &[68], &[68]],
        &[&[2, 30], &[30], &[30]],
    ];
    let whole = |x: &[Tensor]| x[0].layer_norm(Some(&x[1]), Some(&x[2]), EPS);
    let plain = |x: &[Tensor]| x[0].layer_norm(None, None, EPS);
    let biased = |x: &[Tensor]| x[0].layer_norm(None, Some(&x[1]), EPS);
    let eps = f64::from(EPS);
    let [one, zero] = [1.0, 0.0].map(Array::scalar);
    let ones = one.clone();
    let alone: &[&[&[usize]]] = &[&[&[3, 7]], &[&[5, 12]]];
    let pairs: &[&[&[usize]]] = &[&[&[3, 7], &[7]], &[&[5, 12], &[12]]];
    let rows = [
        row("layer_norm", shapes, UNIT, whole, move |x| r::layer_norm(&x[0], &x[1], &x[2], eps)),
        row("layer_norm, plain", alone, UNIT, plain, move |x| r::layer_norm(&x[0], &one, &zero, eps)),
        row("layer_norm, bias", pairs, UNIT, biased, move |x| r::layer_norm(&x[0], &ones, &x[1], eps)),
    ];
    // A value far above all others leaves differences in f32 that are those of its square.
    rows.map(|row| row.up_to(1e4).kinked()).into()
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

fn normalised(x: &[Array], moments: &[Array; 2], options: BatchNormOptions) -> Array {
    let mut y = r::batch_norm2d(&x[0], &x[1], &x[2], moments, f64::from(options.eps));
    if options.relu {
        y = r::relu(&y);
    }
    if options.max_pool { r::max_pool2d(&y, [2, 2], [2, 2], [0, 0]) } else { y }
}

fn name(what: &str, options: BatchNormOptions) -> String {
    format!("{what}, relu {}, pooling {}", options.relu, options.max_pool)
}

fn training(cases: &[&[&[usize]]], options: BatchNormOptions) -> Row {
    let op = move |x: &[Tensor]| {
        let running = running(x[0].gpu(), &estimates(x[1].numel()))?;
        x[0].batch_norm2d(&x[1], &x[2], &running, options)
    };
    let reference = move |x: &[Array]| normalised(x, &r::channel_moments(&x[0]), options);
    let row =
        row(name("batch_norm2d", options), cases, UNIT, op, reference).without_second(&["batch_norm2d"]);
    // Squares of larger values overflow.
    let row = row.terms(|x| x[0].len() / x[1].len()).up_to(1e18);
    if options.relu || options.max_pool { row.kinked() } else { row }
}

fn evaluation(cases: &[&[&[usize]]], options: BatchNormOptions) -> Row {
    let op = move |x: &[Tensor]| {
        let running = running(x[0].gpu(), &estimates(x[1].numel()))?;
        x[0].batch_norm2d_eval(&x[1], &x[2], &running, options)
    };
    let reference = move |x: &[Array]| normalised(x, &estimates(x[1].len()), options);
    let row =
        row(name("batch_norm2d_eval", options), cases, UNIT, op, reference).without_second(&["batch_norm2d"]);
    let row = row.terms(|x| x[0].len() / x[1].len());
    if options.relu || options.max_pool { row.kinked() } else { row }
}

/// Moments from elsewhere, which have gradients as all else.
fn given_moments(cases: &[&[&[usize]]], options: BatchNormOptions) -> Row {
    // The variance is above 0.
    let positive = |x: &Tensor| x.to_dtype(DType::F32)?.square()?.mul_add_scalar(1.0, 0.25);
    let op = move |x: &[Tensor]| {
        let c = x[1].numel();
        let moments = RunningStats {
            mean: x[1].to_dtype(DType::F32)?.mul_add_scalar(0.5, 0.125)?,
            var: positive(&x[2])?,
            batches: Tensor::zeros(x[0].gpu(), &[])?,
        };
        let [weight, bias] = estimates(c).map(|v| Tensor::from_slice(x[0].gpu(), &v.to_f32(), &[c]));
        x[0].batch_norm2d_eval(&weight?, &bias?, &moments, options)
    };
    let reference = move |x: &[Array]| {
        let [weight, bias] = estimates(x[1].len()).map(|x| Array::from_f32(&x.shape, &x.to_f32()));
        let moments = [x[1].map(|m| 0.5 * m + 0.125), x[2].map(|v| v * v + 0.25)];
        normalised(&[x[0].clone(), weight, bias], &moments, options)
    };
    let row = row(name("batch_norm2d_eval, moments", options), cases, UNIT, op, reference)
        .without_second(&["batch_norm2d"]);
    let row = row.terms(|x| x[0].len() / x[1].len()).up_to(1e18);
    if options.relu || options.max_pool { row.kinked() } else { row }
}
