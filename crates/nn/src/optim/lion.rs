//! Lion.

use wgrad_autograd::device::shaders::{self, File};

use super::{Optim, UpdateRule, check, usable};

/// Options of [`Lion`]; the default is the paper's, with its usual learning rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LionOptions {
    /// Learning rate: a third to a tenth of what AdamW takes.
    pub lr: f64,
    /// The mean's share in what is stepped by, and the share of it that is kept from step to step.
    pub betas: [f64; 2],
    /// Share of the weights taken off each step, times the learning rate: three to ten times what AdamW takes.
    pub weight_decay: f64,
}

impl Default for LionOptions {
    fn default() -> Self {
        Self { lr: 1e-4, betas: [0.9, 0.99], weight_decay: 0.0 }
    }
}

/// Lion: steps by the sign of a mean of gradients. It keeps half of what Adam does. After Chen et al., "Symbolic Discovery of
/// Optimization Algorithms", 2023; PyTorch has none.
pub type Lion = Optim<LionOptions>;

impl UpdateRule for LionOptions {
    const NAME: &'static str = "lion";
    const STATE: &'static [&'static str] = &["exp_avg"];

    fn file(&self) -> &'static File {
        &shaders::LION
    }

    fn scalars(&self, _step: u64) -> Vec<(&'static str, f64)> {
        let Self { lr, betas: [beta1, beta2], weight_decay } = *self;
        let rests = [("rest1", 1.0 - beta1), ("rest2", 1.0 - beta2), ("shrink", 1.0 - lr * weight_decay)];
        [("lr", lr), ("beta1", beta1), ("beta2", beta2)].into_iter().chain(rests).collect()
    }

    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn check(&self) -> Result<(), String> {
        let Self { betas, weight_decay, .. } = *self;
        check(usable(weight_decay) && betas.iter().all(|beta| (0.0..1.0).contains(beta)), || {
            format!("betas {betas:?}, weight_decay {weight_decay}: in 0..1, finite and at least 0")
        })
    }
}
