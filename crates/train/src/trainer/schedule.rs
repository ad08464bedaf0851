//! [`Schedule`]: the learning rate of each step, as the trainer asks for it.

use wgrad_nn::OneCycle;

use crate::{Error, Result};

/// Gives the learning rate of each optimizer step.
pub trait Schedule {
    /// The learning rate of step number `step`, counted from 0, of a fit of `total` steps whose optimizer was made with `base`.
    /// It is asked for once for each optimizer step, however many batches the step has; a skipped step does not count.
    fn lr(&self, step: u64, total: u64, base: f64) -> f64;

    /// Takes in the figures of an epoch that has ended, such as `val_loss`, for rates that fall when these no longer improve.
    ///
    /// # Errors
    /// [`Error::Usage`] for a figure that there is not.
    fn observe(&mut self, figures: &[(String, f64)]) -> Result<()> {
        let _ = figures;
        Ok(())
    }

    /// Fails for fields that give no learning rates.
    ///
    /// # Errors
    /// [`Error::Usage`].
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// The schedule in words. A run is resumed with the same only.
    fn describe(&self) -> String;

    /// What changes from epoch to epoch, as a text for checkpoints.
    fn state(&self) -> String {
        String::new()
    }

    /// Takes what [`Schedule::state`] gave; says whether it makes sense.
    fn load_state(&mut self, state: &str) -> bool {
        state.is_empty()
    }
}

impl Schedule for OneCycle {
    fn lr(&self, step: u64, _: u64, _: f64) -> f64 {
        OneCycle::lr(self, step)
    }

    fn check(&self) -> Result<()> {
        OneCycle::check(self).map_err(|error| Error::Usage(error.to_string()))
    }

    fn describe(&self) -> String {
        self.to_string()
    }
}

/// A schedule of a closure that gets the step, the total number of steps, and the optimizer's own rate.
pub struct FromFn<F> {
    name: String,
    rate: F,
}

impl<F: Fn(u64, u64, f64) -> f64> FromFn<F> {
    /// `name` stands for the closure where a resumed run is compared with the one that it continues.
    pub fn new(name: impl Into<String>, rate: F) -> Self {
        Self { name: name.into(), rate }
    }
}

impl<F: Fn(u64, u64, f64) -> f64> Schedule for FromFn<F> {
    fn lr(&self, step: u64, total: u64, base: f64) -> f64 {
        (self.rate)(step, total, base)
    }

    fn describe(&self) -> String {
        self.name.clone()
    }
}
