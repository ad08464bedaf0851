//! Muon.

use wgrad_autograd::{MatmulOptions, Result, Tensor};

use super::tensors::{adam_direction, mix, norm};
use super::{TensorOptim, TensorRule, check, usable, usable_eps};

/// How [`Muon`]'s learning rate depends on a matrix's shape `[a, b]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MuonAdjust {
    /// Times `√max(1, a / b)`.
    #[default]
    Original,
    /// Times `0.2 · √max(a, b)`: steps as large as AdamW's, so that they share a learning rate.
    MatchRmsAdamW,
}

/// Options of [`Muon`]; the default is PyTorch's, and for what is no matrix that of its AdamW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MuonOptions {
    /// Learning rate.
    pub lr: f64,
    /// Share of the mean gradient kept from step to step.
    pub momentum: f64,
    /// Nesterov's momentum.
    pub nesterov: bool,
    /// Share of the weights taken off each step, times the learning rate.
    pub weight_decay: f64,
    /// The coefficients of x, x³ and x⁵ in an iteration of Newton and Schulz.
    pub coefficients: [f64; 3],
    /// Iterations, below 100.
    pub ns_steps: u32,
    /// The least norm that a gradient is divided by.
    pub eps: f64,
    /// How the rate depends on the shape.
    pub adjust: MuonAdjust,
    /// Whether matrices, too, go by AdamW: for embeddings and the last layer, by [`TensorOptim::group`].
    pub adam_only: bool,
    /// AdamW's learning rate as a multiple of `lr`.
    pub adam_scale: f64,
    /// AdamW's betas.
    pub adam_betas: [f64; 2],
    /// AdamW's eps.
    pub adam_eps: f64,
    /// AdamW's decay.
    pub adam_weight_decay: f64,
}

impl Default for MuonOptions {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            momentum: 0.95,
            nesterov: true,
            weight_decay: 0.1,
            coefficients: [3.4445, -4.775, 2.0315],
            ns_steps: 5,
            eps: 1e-7,
            adjust: MuonAdjust::Original,
            adam_only: false,
            adam_scale: 1.0,
            adam_betas: [0.9, 0.999],
            adam_eps: 1e-8,
            adam_weight_decay: 1e-2,
        }
    }
}

/// Muon: steps by the mean gradient of a matrix with all its singular values brought near 1. A parameter of more than two axes is
/// the matrix `[first, rest]`, such as a convolution's; biases and other parameters of one axis go by AdamW.
///
/// Counterpart: `torch.optim.Muon`, for parameters of two axes. It computes the products in bf16, and this in f32.
pub type Muon = TensorOptim<MuonOptions>;

impl MuonOptions {
    fn is_matrix(&self, shape: &[usize]) -> bool {
        shape.len() > 1 && !self.adam_only
    }

    /// Near U·Vᵀ of the matrix U·S·Vᵀ, by iterations of Newton and Schulz.
    fn orthogonalized(&self, x: &Tensor) -> Result<Tensor> {
        let [a, b, c] = self.coefficients;
        let is_tall = x.shape()[0] > x.shape()[1];
        let mut x = if is_tall { x.transpose(0, 1)?.contiguous()? } else { x.clone() };
        x = x.div(&norm(&x)?.clamp(self.eps as f32, f32::INFINITY)?)?;
        for _ in 0..self.ns_steps {
            let gram = x.matmul_with(&x, MatmulOptions { transpose_other: true, ..Default::default() })?;
            let polynomial = mix(b, &gram, c, &gram.matmul(&gram)?)?;
            x = mix(a, &x, 1.0, &polynomial.matmul(&x)?)?;
        }
        if is_tall { x.transpose(0, 1)?.contiguous() } else { Ok(x) }
    }

    fn matrix_step(&self, w: &Tensor, gradient: &Tensor, mean: &Tensor) -> Result<(Tensor, Vec<Tensor>)> {
        let Self { lr, momentum, nesterov, weight_decay, .. } = *self;
        let mean = mix(momentum, mean, 1.0 - momentum, gradient)?;
        let step = if nesterov { mix(1.0 - momentum, gradient, momentum, &mean)? } else { mean.clone() };
        let (a, b) = (w.shape()[0], w.numel() / w.shape()[0].max(1));
        let step = self.orthogonalized(&step.reshape(&[a, b])?)?.reshape(w.shape())?;
        let (a, b) = (a as f64, b as f64);
        let adjusted = match self.adjust {
            MuonAdjust::Original => (a / b).max(1.0).sqrt(),
            MuonAdjust::MatchRmsAdamW => 0.2 * a.max(b).sqrt(),
        };
        Ok((mix(1.0 - lr * weight_decay, w, -lr * adjusted, &step)?, vec![mean]))
    }
}

impl TensorRule for MuonOptions {
    const NAME: &'static str = "muon";

    fn state(&self, shape: &[usize]) -> Vec<(&'static str, Vec<usize>)> {
        if self.is_matrix(shape) {
            return vec![("momentum_buffer", shape.to_vec())];
        }
        vec![("exp_avg", shape.to_vec()), ("exp_avg_sq", shape.to_vec())]
    }

    fn update(
        &self,
        w: &Tensor,
        gradient: &Tensor,
        state: &[&Tensor],
        step: u64,
    ) -> Result<(Tensor, Vec<Tensor>)> {
        if self.is_matrix(w.shape()) {
            return self.matrix_step(w, gradient, state[0]);
        }
        let lr = self.lr * self.adam_scale;
        let (direction, state) = adam_direction(gradient, state, step, self.adam_betas, self.adam_eps)?;
        Ok((mix(1.0 - lr * self.adam_weight_decay, w, -lr, &direction)?, state))
    }

    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn check(&self) -> Result<(), String> {
        let Self {
            momentum,
            weight_decay,
            coefficients,
            ns_steps,
            eps,
            adam_scale,
            adam_betas,
            adam_eps,
            ..
        } = *self;
        let shares = adam_betas.iter().chain([&momentum]).all(|share| (0.0..1.0).contains(share));
        let sizes = [weight_decay, adam_scale, self.adam_weight_decay].into_iter().all(usable);
        let eps = usable_eps(eps) && usable_eps(adam_eps);
        let iterations = ns_steps < 100 && coefficients.iter().all(|x| x.is_finite());
        check(shares && sizes && eps && iterations, || {
            format!(
                "{self:?}: momentum and betas are in 0..1, less than 100 iterations, and the others finite and at least 0, \
                 eps at least 1.2e-38"
            )
        })
    }
}
