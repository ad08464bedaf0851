//! Step losses, read back a few steps late so that no step waits for its own.

use std::collections::VecDeque;

use wgrad_autograd::Tensor;
use wgrad_autograd::device::Pending;

use crate::Result;

/// Losses under way at most. More would let the device fall behind by that many steps before anybody noticed.
const LAG: usize = 4;

/// A step's loss that has arrived.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StepLoss {
    pub step: u64,
    pub images: usize,
    pub loss: f32,
}

struct Waiting {
    step: u64,
    images: usize,
    value: Pending<f32>,
}

impl Waiting {
    fn wait(self) -> Result<StepLoss> {
        let loss = self.value.wait()?.first().copied().unwrap_or(f32::NAN);
        Ok(StepLoss { step: self.step, images: self.images, loss })
    }
}

#[derive(Default)]
pub(crate) struct Losses(VecDeque<Waiting>);

impl Losses {
    /// Records the read of `loss`, to be submitted with the step.
    pub(crate) fn push(&mut self, step: u64, images: usize, loss: &Tensor) -> Result<()> {
        self.0.push_back(Waiting { step, images, value: loss.read_later()? });
        Ok(())
    }

    /// The next loss in the order of steps, if it must be waited for by now.
    pub(crate) fn overdue(&mut self) -> Result<Option<StepLoss>> {
        if self.0.len() <= LAG { Ok(None) } else { self.next() }
    }

    /// The next loss in the order of steps; waits for it.
    pub(crate) fn next(&mut self) -> Result<Option<StepLoss>> {
        self.0.pop_front().map(Waiting::wait).transpose()
    }
}
