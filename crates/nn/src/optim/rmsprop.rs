//! RMSprop.

use wgrad_autograd::device::shaders::{self, File};

use super::{Optim, UpdateRule, check, usable, usable_eps};

/// Options of [`RmsProp`]; the default is PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsPropOptions {
    /// Learning rate.
    pub lr: f64,
    /// Share of the running mean of the squared gradient kept from step to step.
    pub alpha: f64,
    /// Added to the root of the mean square.
    pub eps: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// Share of the velocity kept from step to step.
    pub momentum: f64,
}

impl Default for RmsPropOptions {
    fn default() -> Self {
        Self { lr: 1e-2, alpha: 0.99, eps: 1e-8, weight_decay: 0.0, momentum: 0.0 }
    }
}

/// RMSprop, not centred. Counterpart: `torch.optim.RMSprop`.
pub type RmsProp = Optim<RmsPropOptions>;

impl UpdateRule for RmsPropOptions {
    const NAME: &'static str = "rmsprop";
    const STATE: &'static [&'static str] = &["square_avg", "momentum_buffer"];

    fn file(&self) -> &'static File {
        &shaders::RMSPROP
    }

    fn scalars(&self, _step: u64) -> Vec<(&'static str, f64)> {
        let Self { lr, alpha, eps, weight_decay, momentum } = *self;
        let means = [("alpha", alpha), ("rest", 1.0 - alpha), ("momentum", momentum)];
        [("lr", lr), ("eps", eps), ("decay", weight_decay)].into_iter().chain(means).collect()
    }

    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn check(&self) -> Result<(), String> {
        let Self { alpha, eps, weight_decay, momentum, .. } = *self;
        check(usable_eps(eps) && [alpha, weight_decay, momentum].into_iter().all(usable), || {
            format!("{self:?}: all are finite and at least 0, eps at least 1.2e-38")
        })
    }
}
