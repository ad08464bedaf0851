//! Adafactor.

use wgrad_autograd::{Result, Tensor};

use super::tensors::{mix, norm};
use super::{TensorOptim, TensorRule, check, usable};

/// Options of [`Adafactor`]; the default is PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdafactorOptions {
    /// The largest relative step: step t is at most the smaller of this and `1 / √t`, as a share of the parameter's size.
    pub lr: f64,
    /// The power of t that is the share of a new square in the running means, at most 0.
    pub beta2_decay: f64,
    /// The least root of a mean square, and the least size of a parameter.
    pub eps: [f64; 2],
    /// Steps whose root mean square is above this are scaled down to it; at least 1.
    pub d: f64,
    /// Share of the weights taken off each step, times the learning rate.
    pub weight_decay: f64,
}

impl Default for AdafactorOptions {
    fn default() -> Self {
        let eps = [f64::from(f32::EPSILON), 1e-3];
        Self { lr: 1e-2, beta2_decay: -0.8, eps, d: 1.0, weight_decay: 0.0 }
    }
}

/// Adafactor: of a matrix it keeps a mean square for each row and column instead of each element. Of more than two axes the last two
/// are a matrix's. Counterpart: `torch.optim.Adafactor`.
pub type Adafactor = TensorOptim<AdafactorOptions>;

impl AdafactorOptions {
    /// The mean squares of the elements, and what they are made of.
    fn mean_squares(&self, gradient: &Tensor, state: &[&Tensor], new: f64) -> Result<(Tensor, Vec<Tensor>)> {
        let square = gradient.square()?;
        let [rows, columns] = state else {
            let mean = mix(1.0 - new, state[0], new, &square)?;
            return Ok((mean.clone(), vec![mean]));
        };
        let mean = |axis: isize| square.mean(&[axis])?.keepdim(&[axis]);
        let rows = mix(1.0 - new, rows, new, &mean(-1)?)?;
        let columns = mix(1.0 - new, columns, new, &mean(-2)?)?;
        let all = rows.mean(&[-2])?.keepdim(&[-2])?.clamp(self.eps[0] as f32, f32::INFINITY)?;
        // Row by row, or the product of two small numbers is 0.
        Ok((rows.div(&all)?.mul(&columns)?, vec![rows, columns]))
    }
}

impl TensorRule for AdafactorOptions {
    const NAME: &'static str = "adafactor";

    fn state(&self, shape: &[usize]) -> Vec<(&'static str, Vec<usize>)> {
        let [before @ .., rows, columns] = shape else { return vec![("variance", shape.to_vec())] };
        let of = |last: [usize; 2]| [before, &last].concat();
        vec![("row_var", of([*rows, 1])), ("col_var", of([1, *columns]))]
    }

    fn update(
        &self,
        w: &Tensor,
        gradient: &Tensor,
        state: &[&Tensor],
        step: u64,
    ) -> Result<(Tensor, Vec<Tensor>)> {
        let Self { lr, beta2_decay, eps: [least, least_size], d, weight_decay } = *self;
        let step = step as f64;
        let (mean, state) = self.mean_squares(gradient, state, step.powf(beta2_decay))?;
        let direction = gradient.div(&mean.clamp((least * least) as f32, f32::INFINITY)?.sqrt()?)?;
        let root = (w.numel() as f64).sqrt();
        let size =
            norm(w)?.mul_add_scalar((1.0 / root) as f32, 0.0)?.clamp(least_size as f32, f32::INFINITY)?;
        let excess =
            norm(&direction)?.mul_add_scalar((1.0 / (root * d)) as f32, 0.0)?.clamp(1.0, f32::INFINITY)?;
        let rate = size.div(&excess)?.mul_add_scalar(lr.min(1.0 / step.sqrt()) as f32, 0.0)?;
        Ok((mix(1.0 - lr * weight_decay, w, -1.0, &direction.mul(&rate)?)?, state))
    }

    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn check(&self) -> Result<(), String> {
        let Self { beta2_decay, eps, d, weight_decay, .. } = *self;
        let fits = beta2_decay.is_finite()
            && beta2_decay <= 0.0
            && d.is_finite()
            && d >= 1.0
            && usable(weight_decay);
        // Its square is compared with f32 numbers.
        check(fits && usable(eps[0]) && eps[0] >= 1.1e-19 && usable(eps[1]), || {
            format!(
                "{self:?}: beta2_decay is at most 0, d at least 1, the others finite and at least 0, the first eps at least 1.1e-19"
            )
        })
    }
}
