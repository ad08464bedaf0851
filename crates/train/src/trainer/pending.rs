//! Losses of steps, read back a few steps late so that no step waits for its own.

use std::collections::VecDeque;

use wgrad_autograd::Tensor;
use wgrad_autograd::device::Pending;

use super::means::Means;
use crate::parallel::DataParallel;
use crate::{Output, Result};

/// Steps under way at most. More would let the device fall behind by that many before anybody noticed.
const LAG: usize = 4;

/// The name of the loss among the means.
pub(crate) const LOSS: &str = "loss";

/// The losses of a batch under way.
pub(crate) struct BatchLosses {
    names: Vec<String>,
    values: Pending<f32>,
    weight: f64,
}

impl BatchLosses {
    /// Records the read of the loss and its parts, to be submitted with the step.
    pub(crate) fn read(output: &Output, weight: f64) -> Result<Self> {
        let names = output.parts.iter().map(|(name, _)| name.clone()).collect();
        if output.parts.is_empty() {
            return Ok(Self { names, values: output.loss.read_later()?, weight });
        }
        let parts = output.parts.iter().map(|(_, part)| part);
        let scalars: Vec<Tensor> = [&output.loss]
            .into_iter()
            .chain(parts)
            .map(|loss| loss.reshape(&[]))
            .collect::<Result<_, _>>()?;
        let values = Tensor::stack(&scalars.iter().collect::<Vec<_>>(), 0)?.read_later()?;
        Ok(Self { names, values, weight })
    }

    /// Waits for the losses and adds them to `means`.
    pub(crate) fn wait(self, means: &mut Means) -> Result<()> {
        let Self { names, values, weight } = self;
        let names = [LOSS].into_iter().chain(names.iter().map(String::as_str));
        for (name, value) in names.zip(values.wait()?) {
            means.add(name, f64::from(value), weight);
        }
        Ok(())
    }
}

/// A step under way.
pub(crate) struct PendingStep {
    /// Counted from 1.
    pub number: u64,
    pub lr: f64,
    pub norm: Option<Pending<f32>>,
    pub batches: Vec<BatchLosses>,
}

/// A step whose losses have arrived.
pub(crate) struct StepResult {
    pub number: u64,
    pub lr: f64,
    pub norm: Option<f32>,
    pub means: Means,
}

impl StepResult {
    /// Whether losses and norm are.
    pub(crate) fn is_finite(&self) -> bool {
        self.means.is_finite() && self.norm.is_none_or(f32::is_finite)
    }
}

impl PendingStep {
    /// Waits for the step's losses on all ranks, which it adds to `epoch` too.
    pub(crate) fn wait(self, epoch: &mut Means, parallel: &DataParallel) -> Result<StepResult> {
        let mut own = Means::default();
        self.batches.into_iter().try_for_each(|batch| batch.wait(&mut own))?;
        let means = parallel.all_means(own)?;
        means.for_each(|name, sum, weight| epoch.add_sum(name, sum, weight));
        let norm = self.norm.map(Pending::wait).transpose()?;
        let norm = norm.map(|norm| norm.first().copied().unwrap_or(f32::NAN));
        Ok(StepResult { number: self.number, lr: self.lr, norm, means })
    }
}

/// The steps under way, in order.
#[derive(Default)]
pub(crate) struct PendingSteps(VecDeque<PendingStep>);

impl PendingSteps {
    pub(crate) fn push(&mut self, step: PendingStep) {
        self.0.push_back(step);
    }

    /// The next step, if it must be waited for by now.
    pub(crate) fn overdue(&mut self) -> Option<PendingStep> {
        if self.0.len() <= LAG { None } else { self.0.pop_front() }
    }

    /// The next step.
    pub(crate) fn next(&mut self) -> Option<PendingStep> {
        self.0.pop_front()
    }
}
