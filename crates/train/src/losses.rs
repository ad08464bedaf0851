//! Step losses, read back a few steps late so that no step waits for its own.

use std::collections::VecDeque;

use wgrad_autograd::Tensor;
use wgrad_autograd::device::Pending;

use crate::Result;

/// Losses under way at most where they are waited for. More would let the device fall behind by that many steps before
/// anybody noticed.
#[cfg(not(target_arch = "wasm32"))]
const LAG: usize = 4;

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

struct Waiting<T> {
    step: u64,
    value: Pending<f32>,
    tag: T,
}

/// Losses under way, each with something that its owner wants back with it.
pub(crate) struct Losses<T>(VecDeque<Waiting<T>>);

impl<T> Default for Losses<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Losses<T> {
    /// Records the read of `loss`, to be submitted with the step.
    pub(crate) fn push(&mut self, step: u64, loss: &Tensor, tag: T) -> Result<()> {
        self.0.push_back(Waiting { step, value: loss.read_later()?, tag });
        Ok(())
    }

    /// The next loss in the order of steps, if it has arrived.
    pub(crate) fn arrived(&mut self) -> Result<Option<(StepLoss, T)>> {
        let Some(oldest) = self.0.front_mut() else { return Ok(None) };
        // One that failed is gone too, or it would stand before all others.
        let values = match oldest.value.try_take() {
            Ok(None) => return Ok(None),
            Ok(Some(values)) => Ok(values),
            Err(error) => Err(error),
        };
        let Some(Waiting { step, tag, .. }) = self.0.pop_front() else { return Ok(None) };
        Ok(Some((StepLoss::new(step, &values?), tag)))
    }

    /// The next loss in the order of steps, if it must be waited for by now.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn overdue(&mut self) -> Result<Option<(StepLoss, T)>> {
        if self.0.len() <= LAG { Ok(None) } else { self.next() }
    }

    /// The next loss in the order of steps; waits for it.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn next(&mut self) -> Result<Option<(StepLoss, T)>> {
        let Some(Waiting { step, value, tag }) = self.0.pop_front() else { return Ok(None) };
        Ok(Some((StepLoss::new(step, &value.wait()?), tag)))
    }
}
