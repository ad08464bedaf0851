//! Optimizers: a step is one launch for each parameter, which reads its gradient where the backward pass left it.

mod adam;
mod sgd;

use wgrad_autograd::device::Launch;
use wgrad_autograd::device::shaders::Kernel;
use wgrad_autograd::{Gpu, Gradients, Tensor};

pub use adam::{Adam, AdamOptions};
pub use sgd::{Sgd, SgdOptions};

use crate::{Error, Parameters, Result};

/// A value that an optimizer keeps for each parameter, laid out like the parameters.
pub struct Slot<'a> {
    /// PyTorch's name for it.
    pub name: &'static str,
    /// The values.
    pub values: &'a Tensor,
}

/// Changes parameters by their gradients.
pub trait Optimizer {
    /// One step. Parameters without a gradient stay as they are.
    ///
    /// # Errors
    /// [`Error::Options`] for other parameters than it was made for, a gradient of another shape, or a learning rate below
    /// 0 or not finite, and nothing is then changed; [`Error::Op`] if the device fails.
    fn step(&mut self, parameters: &Parameters, gradients: &Gradients) -> Result<()>;

    /// The learning rate.
    fn lr(&self) -> f64;

    /// Sets the learning rate of the steps to come, which fail if it is below 0 or not finite.
    fn set_lr(&mut self, lr: f64);

    /// Steps made.
    fn steps(&self) -> u64;

    /// Continues after this many steps, with slots loaded from a checkpoint.
    fn set_steps(&mut self, steps: u64);

    /// What a checkpoint must hold beside the parameters.
    fn slots(&self) -> Vec<Slot<'_>>;
}

/// Whether a learning rate or a penalty makes sense.
fn usable(x: f64) -> bool {
    x.is_finite() && x >= 0.0
}

/// Fails for a learning rate that was set and that no step can use.
fn check_lr(what: &'static str, lr: f64) -> Result<()> {
    check(what, usable(lr), || format!("a learning rate of {lr}: it is finite and at least 0"))
}

/// A launch of one of the engine's optimizers, without runtime checks.
fn launch<'a>(gpu: &'a Gpu, kernel: Kernel<'a>) -> Launch<'a> {
    // SAFETY: [`Parameters::with_gradients`] has compared the sizes of what is bound, and `n` is the gradient's.
    unsafe { gpu.launch_unchecked(kernel) }
}

/// Fails unless `fits`.
fn check(what: &'static str, fits: bool, message: impl FnOnce() -> String) -> Result<()> {
    if fits { Ok(()) } else { Err(Error::Options { what, message: message() }) }
}
