//! Optimizers. Those that go element by element make a step in one launch for each flat buffer of parameters, whatever their groups
//! ([`Optim`]); those that take norms or products of whole parameters in some launches for each parameter ([`TensorOptim`]).

mod adadelta;
mod adafactor;
mod adagrad;
mod adam;
mod groups;
mod lamb;
mod lion;
mod muon;
mod nadam;
mod rmsprop;
mod rule;
mod saved_state;
mod sgd;
mod state;
mod tensors;

pub use adadelta::{Adadelta, AdadeltaOptions};
pub use adafactor::{Adafactor, AdafactorOptions};
pub use adagrad::{Adagrad, AdagradOptions};
pub use adam::{Adam, AdamOptions, AmsGrad, AmsGradOptions};
pub use lamb::{Lamb, LambOptions};
pub use lion::{Lion, LionOptions};
pub use muon::{Muon, MuonAdjust, MuonOptions};
pub use nadam::{NAdam, NAdamOptions};
pub use rmsprop::{RmsProp, RmsPropOptions};
pub use rule::{Optim, UpdateRule};
pub use sgd::{Sgd, SgdOptions};
pub use state::OptimizerState;
pub use tensors::{TensorOptim, TensorRule};

use crate::{Error, Gradients, Result};

/// Changes parameters by their gradients. Counterpart: `torch.optim.Optimizer`.
///
/// What follows one formula for each element is an [`UpdateRule`], what follows one for each parameter a [`TensorRule`]: options and
/// the formula, of which [`Optim`] and [`TensorOptim`] make optimizers. Anything else implements this trait by itself, over an
/// [`OptimizerState`], so that trainers and checkpoints take it as they take the others. Its `step`
///
/// 1. asks [`OptimizerState::takes_part`] which parameters have a gradient and are not frozen,
/// 2. computes new values of those of them that [`OptimizerState::kept`] names, by ops within `no_grad`, from
///    [`Gradients::get`], the parameter's [`Entry::tensor`](crate::Entry::tensor), and [`OptimizerState::tensor`],
/// 3. writes them by [`Parameters::values`](crate::Parameters::values), whose `set` takes a parameter's name, and
///    [`OptimizerState::set_tensor`],
/// 4. and counts itself by [`OptimizerState::count_step`].
///
/// `crates/nn/tests/nn/own_optimizer.rs` has LARS as an example.
pub trait Optimizer {
    /// One step. Parameters without a gradient, and frozen ones, stay as they are.
    ///
    /// # Errors
    /// [`crate::Error::Options`] for gradients of other parameters than it was made for, or a learning rate below 0 or not
    /// finite, and nothing is then changed; [`crate::Error::Op`] if the device fails.
    fn step(&mut self, gradients: &Gradients) -> Result<()>;

    /// The learning rate.
    fn lr(&self) -> f64;

    /// Sets the learning rate of the steps to come, which fail if it is below 0 or not finite. Rates that groups of
    /// parameters have of their own change in proportion.
    fn set_lr(&mut self, lr: f64);

    /// What it keeps from step to step: a checkpoint must hold it beside the parameters.
    fn state(&self) -> &OptimizerState;

    /// The same, for a checkpoint to be loaded into it.
    fn state_mut(&mut self) -> &mut OptimizerState;

    /// Steps made.
    fn steps(&self) -> u64 {
        self.state().steps()
    }
}

/// Whether a learning rate or a penalty makes sense.
fn usable(x: f64) -> bool {
    x.is_finite() && x >= 0.0
}

fn check_lr(what: &'static str, lr: f64) -> Result<()> {
    let message = || format!("a learning rate of {lr}: it is finite and at least 0");
    check(usable(lr), message).map_err(|message| Error::Options { what, message })
}

/// Whether an eps is above 0 as the f32 that it is added as, too.
fn usable_eps(eps: f64) -> bool {
    usable(eps) && eps as f32 >= f32::MIN_POSITIVE
}

/// `message()` as an error unless `fits`.
fn check(fits: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if fits { Ok(()) } else { Err(message()) }
}

/// Of what points to an optimizer, one too: every method that the trait does not write itself.
macro_rules! forward_optimizer {
    ($pointer:ty) => {
        impl<T: Optimizer + ?Sized> Optimizer for $pointer {
            fn step(&mut self, gradients: &Gradients) -> Result<()> {
                (**self).step(gradients)
            }

            fn lr(&self) -> f64 {
                (**self).lr()
            }

            fn set_lr(&mut self, lr: f64) {
                (**self).set_lr(lr);
            }

            fn state(&self) -> &OptimizerState {
                (**self).state()
            }

            fn state_mut(&mut self) -> &mut OptimizerState {
                (**self).state_mut()
            }
        }
    };
}

// One that is borrowed, and one of a kind that is chosen when the program runs.
forward_optimizer!(&mut T);
forward_optimizer!(Box<T>);
