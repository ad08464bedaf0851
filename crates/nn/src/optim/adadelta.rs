//! Adadelta.

use wgrad_autograd::device::shaders::{self, File};

use super::{Optim, UpdateRule, check, usable, usable_eps};

/// Options of [`Adadelta`]; the default is PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdadeltaOptions {
    /// Learning rate.
    pub lr: f64,
    /// Share of the running means of squares kept from step to step, in 0..1.
    pub rho: f64,
    /// Added to the means before their roots are taken.
    pub eps: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
}

impl Default for AdadeltaOptions {
    fn default() -> Self {
        Self { lr: 1.0, rho: 0.9, eps: 1e-6, weight_decay: 0.0 }
    }
}

/// Adadelta. Counterpart: `torch.optim.Adadelta`.
pub type Adadelta = Optim<AdadeltaOptions>;

impl UpdateRule for AdadeltaOptions {
    const NAME: &'static str = "adadelta";
    const STATE: &'static [&'static str] = &["square_avg", "acc_delta"];

    fn file(&self) -> &'static File {
        &shaders::ADADELTA
    }

    fn scalars(&self, _step: u64) -> Vec<(&'static str, f64)> {
        let Self { lr, rho, eps, weight_decay } = *self;
        vec![("lr", lr), ("rho", rho), ("rest", 1.0 - rho), ("eps", eps), ("decay", weight_decay)]
    }

    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn check(&self) -> Result<(), String> {
        let Self { rho, eps, weight_decay, .. } = *self;
        check((0.0..1.0).contains(&rho) && usable_eps(eps) && usable(weight_decay), || {
            format!("{self:?}: rho is in 0..1, the others are finite and at least 0, eps at least 1.2e-38")
        })
    }
}
