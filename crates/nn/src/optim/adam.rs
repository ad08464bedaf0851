//! Adam and AdamW.

use wgrad_autograd::device::shaders::{self, File};

use super::{Optim, UpdateRule, check, usable, usable_eps};

/// Options of [`Adam`]; the default is that of PyTorch's `Adam`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamOptions {
    /// Learning rate.
    pub lr: f64,
    /// Shares of the running means of the gradient and its square kept from step to step.
    pub betas: [f64; 2],
    /// Added to the root of the mean square.
    pub eps: f64,
    /// L2 penalty, or with `decoupled` the share of the weights taken off each step, times the learning rate.
    pub weight_decay: f64,
    /// AdamW instead of Adam: the decay does not go through the gradient.
    pub decoupled: bool,
}

impl Default for AdamOptions {
    fn default() -> Self {
        Self { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, decoupled: false }
    }
}

impl AdamOptions {
    /// The default of PyTorch's `AdamW`.
    pub fn adamw() -> Self {
        Self { weight_decay: 1e-2, decoupled: true, ..Self::default() }
    }
}

/// Adam and AdamW. Counterparts: `torch.optim.Adam`, `torch.optim.AdamW`. As there, the bias correction counts the steps in
/// which a parameter had a gradient, so that one that is unfrozen late starts at the full rate.
pub type Adam = Optim<AdamOptions>;

impl UpdateRule for AdamOptions {
    const NAME: &'static str = "adam";
    const STATE: &'static [&'static str] = &["exp_avg", "exp_avg_sq"];

    fn file(&self) -> &'static File {
        &shaders::ADAM
    }

    fn scalars(&self, step: u64) -> Vec<(&'static str, f64)> {
        let Self { lr, betas: [beta1, beta2], eps, weight_decay, decoupled } = *self;
        let correction = |beta: f64| 1.0 - beta.powf(step as f64);
        let (l2, shrink) = if decoupled { (0.0, 1.0 - lr * weight_decay) } else { (weight_decay, 1.0) };
        vec![
            ("beta1", beta1),
            ("beta2", beta2),
            ("rest1", 1.0 - beta1),
            ("rest2", 1.0 - beta2),
            ("eps", eps),
            ("rate", lr / correction(beta1)),
            ("root", correction(beta2).sqrt()),
            ("l2", l2),
            ("shrink", shrink),
        ]
    }

    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn check(&self) -> Result<(), String> {
        let Self { betas, eps, weight_decay, .. } = *self;
        check(usable_eps(eps) && usable(weight_decay), || {
            format!(
                "eps {eps}, weight_decay {weight_decay}: both are finite and at least 0, eps at least 1.2e-38"
            )
        })?;
        check(betas.iter().all(|beta| (0.0..1.0).contains(beta)), || {
            format!("betas {betas:?} are not in 0..1")
        })
    }
}

/// Options of [`AmsGrad`]: Adam's or AdamW's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AmsGradOptions {
    /// What it has in common with Adam.
    pub adam: AdamOptions,
}

/// Adam and AdamW by the largest mean square so far, so that no step grows. Counterpart: `torch.optim.Adam` with `amsgrad=True`.
pub type AmsGrad = Optim<AmsGradOptions>;

impl UpdateRule for AmsGradOptions {
    const NAME: &'static str = "amsgrad";
    const STATE: &'static [&'static str] = &["exp_avg", "exp_avg_sq", "max_exp_avg_sq"];

    fn file(&self) -> &'static File {
        &shaders::AMSGRAD
    }

    fn scalars(&self, step: u64) -> Vec<(&'static str, f64)> {
        self.adam.scalars(step)
    }

    fn lr(&self) -> f64 {
        self.adam.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.adam.lr = lr;
    }

    fn check(&self) -> Result<(), String> {
        self.adam.check()
    }
}
