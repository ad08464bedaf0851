//! Batch norm over the batches of several ranks, against one rank with all rows and against f64.

use std::ops::Range;
use std::sync::Arc;

use wgrad_nn::autograd::{BatchNormOptions, DType, Gpu, Tensor};
use wgrad_nn::distributed::{self, Communicator, Solo, Threads};
use wgrad_nn::models::{Resnet9, Resnet9Options};
use wgrad_nn::{BatchNorm2d, BuildOptions, Error, Mode, Optimizer, Sgd, SgdOptions, build_with};
use wgrad_testkit::compare::assert_close;
use wgrad_testkit::gradient::numeric_gradient;
use wgrad_testkit::{Array, reference as r, sample::Sampler};

use crate::common::{FAMILIES, bits, gpu, gpu_of};
use crate::ranks::{on_ranks, sum_over_ranks};

const EPS: f32 = 1e-3;
const MOMENTUM: f32 = 0.2;

/// All rows, as f32 numbers hold them.
struct Case {
    x: Array,
    dy: Array,
    weight: Array,
    bias: Array,
    options: BatchNormOptions,
    dtype: DType,
}

impl Case {
    fn new(shape: [usize; 4], relu: bool, max_pool: bool) -> Self {
        let mut sampler = Sampler::new(7);
        let [n, c, h, w] = shape;
        let pooled = if max_pool { [n, c, h / 2, w / 2] } else { shape };
        let mut draw = |shape: &[usize], shift: f64| {
            let drawn = sampler.uniform(shape, -1.0, 1.0).map(|value| value + shift);
            Array::from_f32(shape, &drawn.to_f32())
        };
        let options = BatchNormOptions { eps: EPS, momentum: MOMENTUM, relu, max_pool };
        let (x, dy) = (draw(&shape, 3.0), draw(&pooled, 0.0));
        Self { x, dy, weight: draw(&[c], 1.0), bias: draw(&[c], 0.0), options, dtype: DType::F32 }
    }

    fn rows(&self, gpu: &Gpu, of: &Array, rows: &Range<usize>) -> Tensor {
        let (shape, len) = ([&[rows.len()], &of.shape[1..]].concat(), of.len() / of.shape[0]);
        let values = &of.to_f32()[rows.start * len..rows.end * len];
        Tensor::from_slice(gpu, values, &shape).unwrap().to_dtype(self.dtype).unwrap()
    }

    /// Two passes in training over these rows, and one in evaluation.
    fn run(&self, gpu: &Gpu, rows: Range<usize>, ranks: Option<Arc<dyn Communicator>>) -> Outcome {
        let options = BuildOptions { synchronized: ranks, ..Default::default() };
        let make = |b: &wgrad_nn::Builder| BatchNorm2d::new(b, self.weight.len(), self.options);
        let (norm, parameters) = build_with(gpu, 0, options, make).unwrap();
        for (name, values) in [("weight", &self.weight), ("bias", &self.bias)] {
            gpu.write(&parameters.get(name).unwrap().bind(), &values.to_f32()).unwrap();
        }
        let x = self.rows(gpu, &self.x, &rows).tracked();
        norm.forward(&x, Mode::Train).unwrap();
        let y = norm.forward(&x, Mode::Train).unwrap();
        assert_eq!(y.dtype(), self.dtype);
        let gradients = y.backward_from(&self.rows(gpu, &self.dy, &rows)).unwrap();
        let of = |name| gradients.get(parameters.get(name).unwrap()).unwrap().to_vec().unwrap();
        let buffer = |name| parameters.get(name).unwrap().to_vec().unwrap();
        assert_eq!(buffer("num_batches_tracked"), [2.0]);
        let dx = gradients.get(&x).unwrap();
        assert_eq!((dx.shape(), dx.dtype()), (x.shape(), self.dtype));
        Outcome {
            y: y.to_vec().unwrap(),
            dx: dx.to_vec().unwrap(),
            sums: [of("weight"), of("bias")].concat(),
            running: [buffer("running_mean"), buffer("running_var")].concat(),
            eval: norm.forward(&x, Mode::Eval).unwrap().to_vec().unwrap(),
        }
    }

    /// On ranks with so many rows each, put together again.
    fn on_ranks(&self, family: wgrad_nn::autograd::device::Family, rows: &[usize]) -> Outcome {
        let outcomes = on_ranks(rows.len(), |ranks| {
            let start = rows[..ranks.rank()].iter().sum();
            self.run(&gpu_of(family), start..start + rows[ranks.rank()], Some(ranks))
        });
        let first = &outcomes[0];
        let join = |of: fn(&Outcome) -> &Vec<f32>| outcomes.iter().flat_map(of).copied().collect();
        let mut sums = vec![0.0; first.sums.len()];
        for outcome in &outcomes {
            sums.iter_mut().zip(&outcome.sums).for_each(|(sum, part)| *sum += part);
            assert_eq!(bits(&outcome.running), bits(&first.running), "running values of all ranks");
        }
        let (y, dx, eval) = (join(|o| &o.y), join(|o| &o.dx), join(|o| &o.eval));
        Outcome { y, dx, sums, running: first.running.clone(), eval }
    }
}

#[derive(Debug, PartialEq)]
struct Outcome {
    y: Vec<f32>,
    dx: Vec<f32>,
    /// The gradients of weight and bias.
    sums: Vec<f32>,
    running: Vec<f32>,
    eval: Vec<f32>,
}

impl Outcome {
    #[track_caller]
    fn assert_close(&self, want: &Self, tolerance: f64) {
        let parts = [
            ("y", &self.y, &want.y, 1.0),
            ("dx", &self.dx, &want.dx, 1.0),
            // Sums of some hundred terms.
            ("gradients of weight and bias", &self.sums, &want.sums, 4.0),
            ("running values", &self.running, &want.running, 0.1),
            ("evaluation", &self.eval, &want.eval, 1.0),
        ];
        for (name, got, want, factor) in parts {
            let want = Array::from_f32(&[want.len()], want);
            assert_close(name, got, &want, factor * tolerance, factor * tolerance);
        }
    }
}

/// Shares that are equal, that are not, of one row, and of none.
const SHARES: [&[usize]; 4] = [&[4, 4], &[3, 5], &[1, 5, 2], &[2, 0, 6]];

#[test]
fn several_ranks_are_one_with_all_rows() {
    for family in FAMILIES {
        for (shape, relu, max_pool) in
            [([8, 5, 3, 5], false, false), ([8, 3, 4, 16], true, true), ([8, 9, 5, 3], true, true)]
        {
            let case = Case::new(shape, relu, max_pool);
            let whole = case.run(&gpu_of(family), 0..8, None);
            for rows in SHARES {
                case.on_ranks(family, rows).assert_close(&whole, 2e-5);
            }
        }
    }
}

#[test]
fn several_ranks_give_what_f64_gives() {
    let case = Case::new([8, 5, 3, 5], false, false);
    let moments = r::channel_moments(&case.x);
    let inputs = [case.x.clone(), case.weight.clone(), case.bias.clone()];
    let reference =
        |x: &[Array]| r::batch_norm2d(&x[0], &x[1], &x[2], &r::channel_moments(&x[0]), f64::from(EPS));
    let gradients = numeric_gradient(&inputs, &case.dy, reference);
    let (keep, count) = (0.8f64.powi(2), (8 * 3 * 5) as f64);
    let mean = moments[0].map(|mean| (1.0 - keep) * mean);
    let var = moments[1].map(|var| keep + (1.0 - keep) * var * count / (count - 1.0));
    let running = Array::new(&[10], [&mean.data[..], &var.data[..]].concat());
    let sums = Array::new(&[10], [&gradients[1].data[..], &gradients[2].data[..]].concat());
    for family in FAMILIES {
        let got = case.on_ranks(family, &[3, 4, 1]);
        assert_close("y", &got.y, &reference(&inputs), 1e-5, 1e-5);
        assert_close("dx", &got.dx, &gradients[0], 1e-5, 2e-5);
        assert_close("gradients of weight and bias", &got.sums, &sums, 1e-5, 4e-5);
        assert_close("running values", &got.running, &running, 1e-6, 1e-6);
    }
}

#[test]
fn halves_are_normalised_as_f32() {
    let mut case = Case::new([8, 5, 3, 5], true, false);
    case.dtype = DType::F16;
    for family in FAMILIES.into_iter().filter(|family| gpu_of(*family).has_f16()) {
        let whole = case.run(&gpu_of(family), 0..8, None);
        // A step of f16 near 4, and that of sums over gradients that are rounded to it.
        case.on_ranks(family, &[3, 5]).assert_close(&whole, 4e-3);
    }
}

#[test]
fn a_single_rank_takes_the_usual_way() {
    let case = Case::new([8, 5, 3, 5], true, false);
    let gpu = gpu();
    let plain = case.run(&gpu, 0..8, None);
    assert_eq!(case.run(&gpu, 0..8, Some(Arc::new(Solo))), plain);
}

/// Rows of one value a channel: the ranks' counts together say whether they are too few.
#[test]
fn all_ranks_together_have_too_few_values_or_enough() {
    let case = Case::new([2, 3, 1, 1], false, false);
    let whole = case.run(&gpu(), 0..2, None);
    // The differences from a mean of two are about as long as the rounding of the mean lets them be.
    case.on_ranks(gpu().family(), &[1, 1]).assert_close(&whole, 1e-4);

    let errors = on_ranks(2, |ranks| {
        let (gpu, own) = (gpu(), ranks.rank());
        let options = BuildOptions { synchronized: Some(ranks), ..Default::default() };
        let make = |b: &wgrad_nn::Builder| BatchNorm2d::new(&b.scope("norm"), 3, Default::default());
        let (norm, _) = build_with(&gpu, 0, options, make).unwrap();
        let x = Tensor::zeros(&gpu, &[own, 3, 1, 1]).unwrap();
        norm.forward(&x, Mode::Train).unwrap_err().to_string()
    });
    for error in errors {
        assert!(error.contains("layer norm: ") && error.contains("one value a channel"), "{error}");
    }
}

#[test]
fn a_rank_that_is_gone_is_named() {
    let gpu = gpu();
    let [left, gone] = Threads::new(2).try_into().unwrap();
    drop(gone);
    let options = BuildOptions { synchronized: Some(Arc::new(left)), ..Default::default() };
    let make = |b: &wgrad_nn::Builder| BatchNorm2d::new(&b.scope("norm"), 3, Default::default());
    let (norm, _) = build_with(&gpu, 0, options, make).unwrap();
    let error = norm.forward(&Tensor::zeros(&gpu, &[2, 3, 2, 2]).unwrap(), Mode::Train).unwrap_err();
    assert!(matches!(error, Error::Layer { .. }), "{error}");
    assert!(matches!(error.between_ranks(), Some(distributed::Error::Gone { rank: 1, .. })), "{error}");
}

/// Losses of some steps on these rows of each batch, the parameters at the end, and the buffers.
fn train(rows: Range<usize>, batch: usize, ranks: Arc<dyn Communicator>) -> (Vec<f64>, Vec<Vec<f32>>) {
    let gpu = gpu();
    let options = BuildOptions { synchronized: Some(Arc::clone(&ranks)), ..Default::default() };
    let sizes = Resnet9Options { width: 2, ..Default::default() };
    let (model, parameters) = build_with(&gpu, 1, options, |b| Resnet9::new(b, sizes)).unwrap();
    let mut sgd =
        Sgd::new(&parameters, SgdOptions { lr: 0.05, momentum: 0.9, ..Default::default() }).unwrap();
    let mut sampler = Sampler::new(3);
    let share = rows.len() as f32 / batch as f32;
    let mut losses = Vec::new();
    for step in 0..6 {
        let x = sampler.uniform(&[batch, 3, 16, 16], -1.0, 1.0).to_f32();
        let labels: Vec<i32> = (0..batch as i32).map(|i| (i * 7 + step) % 10).collect();
        let len = 3 * 16 * 16;
        let x = &x[rows.start * len..rows.end * len];
        let x = Tensor::from_slice(&gpu, x, &[rows.len(), 3, 16, 16]).unwrap();
        let labels = Tensor::from_slice(&gpu, &labels[rows.clone()], &[rows.len()]).unwrap();
        let loss = model.forward(&x, Mode::Train).unwrap().cross_entropy(&labels, 0.0).unwrap();
        let loss = loss.mul_add_scalar(share, 0.0).unwrap();
        let gradients = parameters.gradients(&loss).unwrap();
        sum_over_ranks(&gradients, ranks.as_ref());
        sgd.step(&gradients).unwrap();
        let mut loss = [f64::from(loss.item().unwrap())];
        distributed::all_reduce_f64(ranks.as_ref(), &mut loss).unwrap();
        losses.extend(loss);
    }
    let flats = parameters.flats().iter().chain(parameters.buffer_flats());
    (losses, flats.map(|flat| flat.to_vec().unwrap()).collect())
}

#[test]
fn a_resnet9_learns_on_several_ranks_as_on_one() {
    let (want, _) = train(0..8, 8, Arc::new(Solo));
    assert!(want[5] < 0.99 * want[0] || want[5] > 1.01 * want[0], "it stands still: {want:?}");
    for rows in [&[4, 4][..], &[1, 4, 3]] {
        let outcomes = on_ranks(rows.len(), |ranks| {
            let start = rows[..ranks.rank()].iter().sum();
            train(start..start + rows[ranks.rank()], 8, ranks)
        });
        let (losses, state) = &outcomes[0];
        for (got, want) in losses.iter().zip(&want) {
            assert!((got - want).abs() < 1e-5 * want.abs(), "{losses:?} {want:?}");
        }
        for (_, other) in &outcomes[1..] {
            let same = other.iter().zip(state).all(|(a, b)| bits(a) == bits(b));
            assert!(same, "all ranks have the same parameters and running values");
        }
    }
}
