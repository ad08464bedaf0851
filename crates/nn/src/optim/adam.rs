//! Adam and AdamW.

use wgrad_autograd::device::shaders::{self, Kernel};
use wgrad_autograd::{Gradients, Tensor};

use super::{Optimizer, Slot, check, check_lr, launch, usable};
use crate::{Parameters, Result};

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

/// Adam and AdamW. Counterparts: `torch.optim.Adam`, `torch.optim.AdamW`. The bias correction counts the optimizer's
/// steps, where PyTorch counts those of each parameter: they differ for one whose gradient is missing at first.
pub struct Adam {
    options: AdamOptions,
    parameters: u64,
    mean: Tensor,
    square: Tensor,
    steps: u64,
}

impl Adam {
    /// For these parameters.
    ///
    /// # Errors
    /// [`crate::Error::Options`] for a learning rate, decay or eps below 0 or not finite, an eps below 1.2e-38, or betas outside `0..1`;
    /// [`crate::Error::Op`].
    pub fn new(parameters: &Parameters, options: AdamOptions) -> Result<Self> {
        let AdamOptions { lr, betas, eps, weight_decay, .. } = options;
        // As an f32, in which it is added, eps must not be 0 either.
        let above_0 = usable(eps) && eps as f32 >= f32::MIN_POSITIVE;
        check("adam", usable(lr) && above_0 && usable(weight_decay), || {
            format!(
                "lr {lr}, eps {eps}, weight_decay {weight_decay}: all are finite and at least 0, eps at least 1.2e-38"
            )
        })?;
        let fits = betas.iter().all(|beta| (0.0..1.0).contains(beta));
        check("adam", fits, || format!("betas {betas:?} are not in 0..1"))?;
        let zeros = || Tensor::zeros(parameters.gpu(), parameters.flat().shape());
        Ok(Self { options, parameters: parameters.id(), mean: zeros()?, square: zeros()?, steps: 0 })
    }
}

impl Optimizer for Adam {
    fn step(&mut self, parameters: &Parameters, gradients: &Gradients) -> Result<()> {
        let AdamOptions { lr, betas: [beta1, beta2], eps, weight_decay, decoupled } = self.options;
        let steps = self.steps.saturating_add(1);
        let power = |beta: f64| 1.0 - beta.powf(steps as f64);
        check_lr("adam", lr)?;
        let slots = [&self.mean, &self.square];
        let found = parameters.with_gradients(self.parameters, gradients, &slots)?;
        self.steps = steps;
        for (entry, gradient) in found {
            let n = gradient.numel();
            let shrink = if decoupled { 1.0 - lr * weight_decay } else { 1.0 };
            launch(parameters.gpu(), Kernel::new(&shaders::ADAM, "adam"))
                .bind_all([("grad", gradient.bind_padded()), ("w", entry.range_of(parameters.flat()))])
                .bind_all([("m", entry.range_of(&self.mean)), ("v", entry.range_of(&self.square))])
                .set("n", n)
                .set_all_f32([("beta1", beta1 as f32), ("rest1", (1.0 - beta1) as f32)])
                .set_all_f32([("beta2", beta2 as f32), ("rest2", (1.0 - beta2) as f32)])
                .set_all_f32([("eps", eps as f32), ("step", (lr / power(beta1)) as f32)])
                .set_f32("root", power(beta2).sqrt() as f32)
                .set_f32("l2", if decoupled { 0.0 } else { weight_decay as f32 })
                .set_f32("shrink", shrink as f32)
                .threads(n.div_ceil(4))
                .enqueue()?;
        }
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
        vec![Slot { name: "exp_avg", values: &self.mean }, Slot { name: "exp_avg_sq", values: &self.square }]
    }
}
