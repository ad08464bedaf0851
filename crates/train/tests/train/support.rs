//! A tiny model and data, callbacks that note what they see, and a metric that says what it is told to.

use std::cell::RefCell;
use std::rc::Rc;

use wgrad_autograd::{BatchNormOptions, Gpu, Tensor};
use wgrad_data::{Batch, TensorBatches};
use wgrad_nn::{
    Adam, AdamOptions, BatchNorm2d, Dropout, Flatten, Linear, Mode, Optimizer, Parameters, Sequential, Sgd,
    SgdOptions, StateDict, build,
};
use wgrad_train::{Accumulator, Callback, Fit, History, Logger, Metric, Output, Result, Trainer};

thread_local! {
    /// Each test has one of its own, so that its kernels are compiled once.
    static GPU: Gpu = Gpu::builder().poison().quiet().build().unwrap();
}

pub fn gpu() -> Gpu {
    GPU.with(Gpu::clone)
}

/// `n` rows `[1, 2, 2]` of two classes.
pub fn rows(gpu: &Gpu, n: usize) -> TensorBatches {
    let (x, y) = values(n);
    let x = Tensor::from_slice(gpu, &x, &[n, 1, 2, 2]).unwrap();
    TensorBatches::new(&x, &Tensor::from_slice(gpu, &y, &[n]).unwrap()).unwrap()
}

/// The values of [`rows`].
pub fn values(n: usize) -> (Vec<f32>, Vec<i32>) {
    let y: Vec<i32> = (0..n as i32).map(|i| i % 2).collect();
    let x = (0..4 * n).map(|i| (i * 37 % 100) as f32 / 50.0 - 1.0 + y[i / 4] as f32).collect();
    (x, y)
}

pub struct Setup {
    pub gpu: Gpu,
    pub model: Sequential,
    pub params: Parameters,
}

impl Setup {
    /// With batch norm and dropout.
    pub fn new() -> Self {
        let gpu = gpu();
        let (model, params) = build(&gpu, 3, |b| {
            Sequential::new(b)
                .with(|b| BatchNorm2d::new(b, 1, BatchNormOptions::default()))
                .with(|_| Flatten)
                .with(|b| Linear::new(b, 4, 8))
                .with(|b| Dropout::new(b, 0.5))
                .with(|b| Linear::new(b, 8, 2))
        })
        .unwrap();
        Self { gpu, model, params }
    }

    /// Without: the loss of a row does not depend on the others.
    pub fn plain() -> Self {
        let gpu = gpu();
        let (model, params) =
            build(&gpu, 3, |b| Sequential::new(b).with(|_| Flatten).with(|b| Linear::new(b, 4, 2))).unwrap();
        Self { gpu, model, params }
    }

    pub fn trainer<'a>(&self, optimizer: impl Optimizer + 'a) -> Trainer<'a> {
        Trainer::new(&self.params, optimizer).progress(false)
    }

    pub fn adam(&self) -> Adam {
        Adam::new(&self.params, AdamOptions { lr: 0.01, ..Default::default() }).unwrap()
    }

    pub fn sgd(&self) -> Sgd {
        Sgd::new(&self.params, SgdOptions { lr: 0.1, momentum: 0.9, ..Default::default() }).unwrap()
    }

    pub fn loss(&self, batch: &Batch, mode: Mode) -> Result<Output> {
        let y = self.model.forward(&batch.x, mode)?;
        Ok(Output::new(y.cross_entropy(&batch.y, 0.0)?).judged(y, &batch.y))
    }

    pub fn state(&self) -> StateDict {
        self.params.state_dict().unwrap()
    }
}

/// An epoch, its last step, and the bits of its figures by name.
pub type EpochBits = (usize, u64, Vec<(String, u64)>);

/// The figures of a history, without times.
pub fn figures(history: &History) -> Vec<EpochBits> {
    let bits = |(name, value): &(String, f64)| (name.clone(), value.to_bits());
    let timeless = |record: &wgrad_train::EpochRecord| {
        let kept = record.figures.iter().filter(|(name, _)| name != "seconds");
        (record.epoch, record.step, kept.map(bits).collect())
    };
    history.epochs.iter().map(timeless).collect()
}

/// Share of the rows whose largest prediction is the target's.
pub struct Accuracy;

struct Right {
    right: usize,
    rows: usize,
}

impl Metric for Accuracy {
    fn name(&self) -> String {
        "accuracy".to_owned()
    }

    fn accumulator(&self) -> Box<dyn Accumulator> {
        Box::new(Right { right: 0, rows: 0 })
    }

    fn higher_is_better(&self) -> bool {
        true
    }
}

impl Accumulator for Right {
    fn update(&mut self, prediction: &Tensor, target: &Tensor) -> Result<()> {
        let (named, target) = (prediction.argmax(1)?.to_vec_as::<i32>()?, target.to_vec_as::<i32>()?);
        self.rows += named.len();
        self.right += named.iter().zip(&target).filter(|(a, b)| a == b).count();
        Ok(())
    }

    fn compute(&mut self) -> Result<f64> {
        Ok(self.right as f64 / self.rows as f64)
    }
}

/// A metric `told` whose value in each epoch is the next of these; it fails where there is none left.
#[derive(Clone)]
pub struct Told {
    values: Rc<RefCell<Vec<f64>>>,
    higher: bool,
}

impl Told {
    pub fn new(values: &[f64], higher: bool) -> Self {
        Self { values: Rc::new(RefCell::new(values.iter().rev().copied().collect())), higher }
    }
}

impl Metric for Told {
    fn name(&self) -> String {
        "told".to_owned()
    }

    fn accumulator(&self) -> Box<dyn Accumulator> {
        Box::new(self.clone())
    }

    fn higher_is_better(&self) -> bool {
        self.higher
    }
}

impl Accumulator for Told {
    fn update(&mut self, _: &Tensor, _: &Tensor) -> Result<()> {
        Ok(())
    }

    fn compute(&mut self) -> Result<f64> {
        let next = self.values.borrow_mut().pop();
        next.ok_or_else(|| Box::<dyn std::error::Error + Send + Sync>::from("nothing left to tell").into())
    }
}

/// Notes the model's state after each step and at each validation, and calls a closure after each step.
pub struct Watch<F> {
    pub steps: Rc<RefCell<Vec<StateDict>>>,
    pub validations: Rc<RefCell<Vec<StateDict>>>,
    pub after: F,
}

impl<F: FnMut(&mut Fit)> Watch<F> {
    pub fn new(after: F) -> Self {
        Self { steps: Rc::default(), validations: Rc::default(), after }
    }
}

impl<F: FnMut(&mut Fit)> Callback for Watch<F> {
    fn name(&self) -> &str {
        "watch"
    }

    fn on_step_end(&mut self, fit: &mut Fit) -> Result<()> {
        self.steps.borrow_mut().push(fit.parameters().state_dict()?);
        (self.after)(fit);
        Ok(())
    }

    fn on_validation_end(&mut self, fit: &mut Fit) -> Result<()> {
        self.validations.borrow_mut().push(fit.parameters().state_dict()?);
        Ok(())
    }
}

/// A step, and what was logged at it.
pub type Line = (u64, Vec<(String, f64)>);

/// Notes what is logged.
#[derive(Clone, Default)]
pub struct Noted {
    pub lines: Rc<RefCell<Vec<Line>>>,
    pub ends: Rc<RefCell<Vec<String>>>,
}

impl Logger for Noted {
    fn start(&mut self, step: u64) -> Result<()> {
        self.ends.borrow_mut().push(format!("start {step}"));
        Ok(())
    }

    fn log(&mut self, step: u64, values: &[(&str, f64)]) -> Result<()> {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        self.lines.borrow_mut().push((step, values));
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.ends.borrow_mut().push("finish".to_owned());
        Ok(())
    }
}
