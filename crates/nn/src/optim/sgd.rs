//! Stochastic gradient descent.

use wgrad_autograd::device::shaders::{self, File};

use super::{Optim, UpdateRule, check, usable};

/// Options of [`Sgd`]; the default is PyTorch's, with a learning rate of 0.001.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdOptions {
    /// Learning rate.
    pub lr: f64,
    /// Share of the velocity kept from step to step.
    pub momentum: f64,
    /// Share of the gradient left out of the velocity, but for a parameter's first step.
    pub dampening: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// Nesterov's momentum, which takes a momentum above 0 and no dampening.
    pub nesterov: bool,
}

impl Default for SgdOptions {
    fn default() -> Self {
        Self { lr: 1e-3, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false }
    }
}

/// Stochastic gradient descent with momentum. Counterpart: `torch.optim.SGD`.
pub type Sgd = Optim<SgdOptions>;

impl UpdateRule for SgdOptions {
    const NAME: &'static str = "sgd";
    const STATE: &'static [&'static str] = &["momentum_buffer"];

    fn file(&self) -> &'static File {
        &shaders::SGD
    }

    fn scalars(&self, step: u64) -> Vec<(&'static str, f64)> {
        let Self { lr, momentum, dampening, weight_decay, nesterov } = *self;
        let rest = if step == 1 || momentum == 0.0 { 1.0 } else { 1.0 - dampening };
        let nesterov = f64::from(u8::from(nesterov));
        vec![
            ("lr", lr),
            ("momentum", momentum),
            ("rest", rest),
            ("decay", weight_decay),
            ("nesterov", nesterov),
        ]
    }

    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn check(&self) -> Result<(), String> {
        let Self { momentum, dampening, weight_decay, nesterov, .. } = *self;
        check(usable(momentum) && usable(weight_decay) && dampening.is_finite(), || {
            format!(
                "momentum {momentum}, weight_decay {weight_decay}, dampening {dampening}: all are finite, the first two at \
                 least 0"
            )
        })?;
        check(!nesterov || (momentum > 0.0 && dampening == 0.0), || {
            "nesterov needs a momentum above 0 and no dampening".to_owned()
        })
    }
}
