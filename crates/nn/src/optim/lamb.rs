//! LAMB.

use wgrad_autograd::{Result, Tensor};

use super::tensors::{adam_direction, mix, norm};
use super::{TensorOptim, TensorRule, check, usable, usable_eps};

/// Options of [`Lamb`]; the default is the paper's, without decay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LambOptions {
    /// Learning rate.
    pub lr: f64,
    /// Shares of the running means of the gradient and its square kept from step to step.
    pub betas: [f64; 2],
    /// Added to the root of the mean square.
    pub eps: f64,
    /// Share of the weights in the step, before the step is scaled.
    pub weight_decay: f64,
}

impl Default for LambOptions {
    fn default() -> Self {
        Self { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-6, weight_decay: 0.0 }
    }
}

/// LAMB, for large batches: Adam's step, scaled for each parameter so that it is as long as the parameter's norm, times the learning
/// rate. A parameter or a step of norm 0 is not scaled. After You et al., "Large Batch Optimization for Deep Learning", 2020;
/// PyTorch has none.
pub type Lamb = TensorOptim<LambOptions>;

impl TensorRule for LambOptions {
    const NAME: &'static str = "lamb";

    fn state(&self, shape: &[usize]) -> Vec<(&'static str, Vec<usize>)> {
        vec![("exp_avg", shape.to_vec()), ("exp_avg_sq", shape.to_vec())]
    }

    fn update(
        &self,
        w: &Tensor,
        gradient: &Tensor,
        state: &[&Tensor],
        step: u64,
    ) -> Result<(Tensor, Vec<Tensor>)> {
        let Self { lr, betas, eps, weight_decay } = *self;
        let (mut direction, state) = adam_direction(gradient, state, step, betas, eps)?;
        if weight_decay > 0.0 {
            direction = mix(1.0, &direction, weight_decay, w)?;
        }
        let [of_w, of_step] = [norm(w)?, norm(&direction)?];
        let zero = Tensor::zeros(w.gpu(), &[])?;
        let unscaled = of_w.equal(&zero)?.maximum(&of_step.equal(&zero)?)?;
        let trust = of_w.div(&of_step)?.keep_where(&of_w)?.keep_where(&of_step)?.add(&unscaled)?;
        Ok((mix(1.0, w, -lr, &direction.mul(&trust)?)?, state))
    }

    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn check(&self) -> Result<(), String> {
        let Self { betas, eps, weight_decay, .. } = *self;
        let fits =
            betas.iter().all(|beta| (0.0..1.0).contains(beta)) && usable_eps(eps) && usable(weight_decay);
        check(fits, || {
            format!("{self:?}: betas are in 0..1, the others finite and at least 0, eps at least 1.2e-38")
        })
    }
}
