//! Adagrad.

use wgrad_autograd::device::shaders::{self, File};

use super::{Optim, UpdateRule, check, usable, usable_eps};

/// Options of [`Adagrad`]; the default is PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdagradOptions {
    /// Learning rate.
    pub lr: f64,
    /// How fast the rate falls: a parameter's step t has `lr / (1 + (t - 1) · lr_decay)`.
    pub lr_decay: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// What the sums of squares start from.
    pub initial_accumulator_value: f64,
    /// Added to the root of the sum.
    pub eps: f64,
}

impl Default for AdagradOptions {
    fn default() -> Self {
        Self { lr: 1e-2, lr_decay: 0.0, weight_decay: 0.0, initial_accumulator_value: 0.0, eps: 1e-10 }
    }
}

/// Adagrad. Counterpart: `torch.optim.Adagrad`.
pub type Adagrad = Optim<AdagradOptions>;

impl UpdateRule for AdagradOptions {
    const NAME: &'static str = "adagrad";
    const STATE: &'static [&'static str] = &["sum"];

    fn file(&self) -> &'static File {
        &shaders::ADAGRAD
    }

    fn scalars(&self, step: u64) -> Vec<(&'static str, f64)> {
        let Self { lr, lr_decay, weight_decay, initial_accumulator_value, eps } = *self;
        let rate = lr / (1.0 + step.saturating_sub(1) as f64 * lr_decay);
        // The state is 0 before the first step.
        let first = if step == 1 { initial_accumulator_value } else { 0.0 };
        vec![("rate", rate), ("eps", eps), ("decay", weight_decay), ("first", first)]
    }

    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn check(&self) -> Result<(), String> {
        let Self { lr_decay, weight_decay, initial_accumulator_value, eps, .. } = *self;
        let usable = [lr_decay, weight_decay, initial_accumulator_value].into_iter().all(usable);
        check(usable && usable_eps(eps), || {
            format!("{self:?}: all are finite and at least 0, eps at least 1.2e-38")
        })
    }
}
