//! Stochastic gradient descent.

use wgrad_autograd::device::shaders::{self, Kernel};
use wgrad_autograd::{Gradients, Tensor};

use super::{Optimizer, Slot, check, check_lr, launch, usable};
use crate::{Parameters, Result};

/// Options of [`Sgd`]; the default is PyTorch's, with a learning rate of 0.001.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdOptions {
    /// Learning rate.
    pub lr: f64,
    /// Share of the velocity kept from step to step.
    pub momentum: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// Nesterov's momentum.
    pub nesterov: bool,
}

impl Default for SgdOptions {
    fn default() -> Self {
        Self { lr: 1e-3, momentum: 0.0, weight_decay: 0.0, nesterov: false }
    }
}

/// Stochastic gradient descent with momentum. Counterpart: `torch.optim.SGD`.
pub struct Sgd {
    options: SgdOptions,
    parameters: u64,
    velocity: Tensor,
    steps: u64,
}

impl Sgd {
    /// For these parameters.
    ///
    /// # Errors
    /// [`crate::Error::Options`] for a learning rate, momentum or decay below 0 or not finite, or Nesterov without
    /// momentum; [`crate::Error::Op`].
    pub fn new(parameters: &Parameters, options: SgdOptions) -> Result<Self> {
        let SgdOptions { lr, momentum, weight_decay, nesterov } = options;
        check("sgd", usable(lr) && usable(momentum) && usable(weight_decay), || {
            format!(
                "lr {lr}, momentum {momentum}, weight_decay {weight_decay}: all are finite and at least 0"
            )
        })?;
        check("sgd", !nesterov || momentum > 0.0, || "nesterov needs a momentum above 0".to_owned())?;
        let velocity = Tensor::zeros(parameters.gpu(), parameters.flat().shape())?;
        Ok(Self { options, parameters: parameters.id(), velocity, steps: 0 })
    }
}

impl Optimizer for Sgd {
    fn step(&mut self, parameters: &Parameters, gradients: &Gradients) -> Result<()> {
        check_lr("sgd", self.options.lr)?;
        let SgdOptions { lr, momentum, weight_decay, nesterov } = self.options;
        for (entry, gradient) in parameters.with_gradients(self.parameters, gradients, &[&self.velocity])? {
            let n = gradient.numel();
            launch(parameters.gpu(), Kernel::new(&shaders::SGD, "sgd"))
                .bind_all([("grad", gradient.bind_padded()), ("w", entry.range_of(parameters.flat()))])
                .bind("velocity", entry.range_of(&self.velocity))
                .set("n", n)
                .set_all_f32([
                    ("lr", lr as f32),
                    ("momentum", momentum as f32),
                    ("decay", weight_decay as f32),
                ])
                .set("nesterov", usize::from(nesterov))
                .threads(n.div_ceil(4))
                .enqueue()?;
        }
        self.steps = self.steps.saturating_add(1);
        Ok(())
    }

    fn lr(&self) -> f64 {
        self.options.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.options.lr = lr;
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
    }

    fn slots(&self) -> Vec<Slot<'_>> {
        vec![Slot { name: "momentum_buffer", values: &self.velocity }]
    }
}
