//! NAdam.

use wgrad_autograd::device::shaders::{self, File};

use super::{AdamOptions, Optim, UpdateRule};

/// Options of [`NAdam`]; the default is PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NAdamOptions {
    /// Learning rate.
    pub lr: f64,
    /// Shares of the running means of the gradient and its square kept from step to step.
    pub betas: [f64; 2],
    /// Added to the root of the mean square.
    pub eps: f64,
    /// L2 penalty, or with `decoupled` the share of the weights taken off each step, times the learning rate.
    pub weight_decay: f64,
    /// How fast the momentum rises to its full share.
    pub momentum_decay: f64,
    /// Whether the decay does not go through the gradient.
    pub decoupled: bool,
}

impl Default for NAdamOptions {
    fn default() -> Self {
        let (betas, momentum_decay) = ([0.9, 0.999], 4e-3);
        Self { lr: 2e-3, betas, eps: 1e-8, weight_decay: 0.0, momentum_decay, decoupled: false }
    }
}

/// Adam with Nesterov's momentum. Counterpart: `torch.optim.NAdam`.
pub type NAdam = Optim<NAdamOptions>;

impl NAdamOptions {
    fn momentum(&self, step: f64) -> f64 {
        self.betas[0] * (1.0 - 0.5 * 0.96f64.powf(step * self.momentum_decay))
    }

    /// The product of the momenta of all steps up to this one: a number that soon makes no difference to 1.
    fn momenta(&self, step: u64) -> f64 {
        let mut product = 1.0;
        for step in 1..=step {
            product *= self.momentum(step as f64);
            if product < 1e-20 {
                return 0.0;
            }
        }
        product
    }
}

impl UpdateRule for NAdamOptions {
    const NAME: &'static str = "nadam";
    const STATE: &'static [&'static str] = &["exp_avg", "exp_avg_sq"];

    fn file(&self) -> &'static File {
        &shaders::NADAM
    }

    fn scalars(&self, step: u64) -> Vec<(&'static str, f64)> {
        let Self { lr, betas: [beta1, beta2], eps, weight_decay, decoupled, .. } = *self;
        let (now, next, product) =
            (self.momentum(step as f64), self.momentum(step as f64 + 1.0), self.momenta(step));
        let (l2, shrink) = if decoupled { (0.0, 1.0 - lr * weight_decay) } else { (weight_decay, 1.0) };
        vec![
            ("beta1", beta1),
            ("beta2", beta2),
            ("rest1", 1.0 - beta1),
            ("rest2", 1.0 - beta2),
            ("eps", eps),
            ("root", (1.0 - beta2.powf(step as f64)).sqrt()),
            ("of_grad", lr * (1.0 - now) / (1.0 - product)),
            ("of_mean", lr * next / (1.0 - product * next)),
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
        let Self { lr, betas, eps, weight_decay, momentum_decay, decoupled } = *self;
        AdamOptions { lr, betas, eps, weight_decay, decoupled }.check()?;
        super::check(super::usable(momentum_decay), || {
            format!("momentum_decay {momentum_decay}: it is finite and at least 0")
        })
    }
}
