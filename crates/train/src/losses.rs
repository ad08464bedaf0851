//! Step losses, read back a few steps late so that no step waits for its own.

use std::collections::VecDeque;

use wgrad_autograd::Tensor;
use wgrad_autograd::device::Pending;

use crate::Result;

/// A step's loss that has arrived.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepLoss {
    /// The step, counted from 1.
    pub step: u64,
    /// Its loss.
    pub loss: f32,
}

impl StepLoss {
    fn new(step: u64, values: &[f32]) -> Self {
        Self { step, loss: values.first().copied().unwrap_or(f32::NAN) }
    }
}

/// Losses under way, each with the number of its step.
#[derive(Default)]
pub(crate) struct Losses(VecDeque<(u64, Pending<f32>)>);

impl Losses {
    /// Records the read of `loss`, to be submitted with the step.
    pub(crate) fn push(&mut self, step: u64, loss: &Tensor) -> Result<()> {
        self.0.push_back((step, loss.read_later()?));
        Ok(())
    }

    /// The next loss in the order of steps, if it has arrived.
    pub(crate) fn arrived(&mut self) -> Result<Option<StepLoss>> {
        let Some((_, oldest)) = self.0.front_mut() else { return Ok(None) };
        // One that failed is gone too, or it would stand before all others.
        let values = match oldest.try_take() {
            Ok(None) => return Ok(None),
            Ok(Some(values)) => Ok(values),
            Err(error) => Err(error),
        };
        let Some((step, _)) = self.0.pop_front() else { return Ok(None) };
        Ok(Some(StepLoss::new(step, &values?)))
    }
}
