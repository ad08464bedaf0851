//! Learning rates by step.
//!
//! Step 0 is the first one: a loop sets `optimizer.set_lr(schedule.lr(step))` before its step number `step`. A schedule is a plain
//! value without state, so that a resumed run needs nothing but the step's number; [`ReduceOnPlateau`], which goes by a metric, has
//! state and is a type of its own.

mod chained;
mod cosine;
mod one_cycle;
mod plateau;
mod steps;

use std::fmt;
use std::sync::Arc;

pub use chained::{Chained, LinearWarmUp};
pub use cosine::{Cosine, CosineWarmRestarts};
pub use one_cycle::{Anneal, OneCycle};
pub use plateau::{PlateauMode, PlateauOptions, PlateauState, ReduceOnPlateau};
pub use steps::{Constant, Exponential, MultiStep, Polynomial, StepLr};

use crate::{Error, Result};

/// A learning rate for each step. The words of its `Display` are its identity: checkpoints keep them, so that a run is not resumed
/// with another schedule by mistake.
pub trait Schedule: fmt::Display + fmt::Debug + Send + Sync {
    /// The learning rate of step number `step`, counted from 0. Where [`Schedule::check`] fails it may be NaN, which optimizers
    /// refuse.
    fn lr(&self, step: u64) -> f64;

    /// Fails for fields that give no learning rates. The training loop checks its schedule; a loop of your own does well to.
    ///
    /// # Errors
    /// [`Error::Options`] with the field and what is wrong.
    fn check(&self) -> Result<()>;
}

impl<S: Schedule + ?Sized> Schedule for Arc<S> {
    fn lr(&self, step: u64) -> f64 {
        (**self).lr(step)
    }

    fn check(&self) -> Result<()> {
        (**self).check()
    }
}

/// Fails with `message()` unless `fits`.
fn check(what: &'static str, fits: bool, message: impl FnOnce() -> String) -> Result<()> {
    if fits { Ok(()) } else { Err(Error::Options { what, message: message() }) }
}

/// Whether a rate or a factor can be one: finite and at least 0.
fn usable(x: f64) -> bool {
    x.is_finite() && x >= 0.0
}
