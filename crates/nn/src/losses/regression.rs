//! Losses of numbers against numbers, and of distributions against distributions.

use wgrad_autograd::{Result, Tensor};

use super::{Reduction, alike, check_option, is};

/// Options of [`smooth_l1`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SmoothL1Options {
    /// The difference at which the square ends and the straight line begins.
    pub beta: f32,
    /// What becomes of the losses of elements.
    pub reduction: Reduction,
}

impl Default for SmoothL1Options {
    fn default() -> Self {
        Self { beta: 1.0, reduction: Reduction::Mean }
    }
}

/// Options of [`huber`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HuberOptions {
    /// The difference at which the square ends and the straight line begins, above 0.
    pub delta: f32,
    /// What becomes of the losses of elements.
    pub reduction: Reduction,
}

impl Default for HuberOptions {
    fn default() -> Self {
        Self { delta: 1.0, reduction: Reduction::Mean }
    }
}

/// Options of [`kl_div`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KlDivOptions {
    /// Whether the target, too, holds logarithms of probabilities.
    pub log_target: bool,
    /// What becomes of the losses of elements.
    pub reduction: KlDivReduction,
}

/// What becomes of the losses of elements of [`kl_div`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KlDivReduction {
    /// Their sum over the number of rows, which is the mean of the rows' divergences: PyTorch's `batchmean`.
    BatchMean,
    /// As with other losses; the mean of elements is no divergence.
    Of(Reduction),
}

impl Default for KlDivReduction {
    /// PyTorch's, the mean of elements.
    fn default() -> Self {
        Self::Of(Reduction::Mean)
    }
}

/// Squared error, `(x - target)²`.
///
/// Shape: any, the target's too; a scalar, or with [`Reduction::None`] as `x`. Counterpart: `F.mse_loss`.
///
/// # Errors
/// [`Error::Shape`](wgrad_autograd::Error::Shape) if the shapes differ, [`Error::DType`](wgrad_autograd::Error::DType) for
/// integers, [`Error::Device`](wgrad_autograd::Error::Device).
pub fn mse(x: &Tensor, target: &Tensor, reduction: Reduction) -> Result<Tensor> {
    let [x, target] = alike("mse", x, target)?;
    reduction.of(&x.sub(&target)?.square()?)
}

/// Absolute error, `|x - target|`, with derivative 0 where both are equal.
///
/// Shape: as [`mse`]. Counterpart: `F.l1_loss`.
///
/// # Errors
/// As [`mse`].
pub fn l1(x: &Tensor, target: &Tensor, reduction: Reduction) -> Result<Tensor> {
    let [x, target] = alike("l1", x, target)?;
    reduction.of(&x.sub(&target)?.abs()?)
}

/// Half the squared error over `beta` where the difference d is below `beta`, and `|d| - beta / 2` beyond; [`l1`] where `beta`
/// is 0.
///
/// Shape: as [`mse`]. Counterpart: `F.smooth_l1_loss`.
///
/// # Errors
/// As [`mse`], and [`Error::Shape`](wgrad_autograd::Error::Shape) for a `beta` that is negative or not finite.
pub fn smooth_l1(x: &Tensor, target: &Tensor, options: &SmoothL1Options) -> Result<Tensor> {
    const OP: &str = "smooth_l1";
    let SmoothL1Options { beta, reduction } = *options;
    check_option(OP, "beta", beta, 0.0)?;
    if beta == 0.0 {
        return l1(x, target, reduction);
    }
    let [x, target] = alike(OP, x, target)?;
    reduction.of(&bent(&x.sub(&target)?, beta)?.mul_add_scalar(1.0 / beta, 0.0)?)
}

/// Half the squared error where the difference d is below `delta`, and `delta · (|d| - delta / 2)` beyond.
///
/// Shape: as [`mse`]. Counterpart: `F.huber_loss`.
///
/// # Errors
/// As [`mse`], and [`Error::Shape`](wgrad_autograd::Error::Shape) for a `delta` that is not above 0 and finite.
pub fn huber(x: &Tensor, target: &Tensor, options: &HuberOptions) -> Result<Tensor> {
    const OP: &str = "huber";
    let HuberOptions { delta, reduction } = *options;
    check_option(OP, "delta", delta, f32::MIN_POSITIVE)?;
    let [x, target] = alike(OP, x, target)?;
    reduction.of(&bent(&x.sub(&target)?, delta)?)
}

/// `d² / 2` up to ±`bend`, and straight on from there: `c · (d - c / 2)` with d held within ±`bend` as c.
fn bent(d: &Tensor, bend: f32) -> Result<Tensor> {
    let c = d.clamp(-bend, bend)?;
    c.mul(&d.sub(&c.mul_add_scalar(0.5, 0.0)?)?)
}

/// The Kullback-Leibler divergence of the target from `x`, which holds logarithms of probabilities, by elements:
/// `target · (ln target - x)`, 0 where the target is 0.
///
/// Shape: as [`mse`]. Counterpart: `F.kl_div`.
///
/// # Errors
/// As [`mse`].
pub fn kl_div(x: &Tensor, target: &Tensor, options: &KlDivOptions) -> Result<Tensor> {
    let [x, target] = alike("kl_div", x, target)?;
    let losses = if options.log_target {
        target.exp()?.mul(&target.sub(&x)?)?
    } else {
        // A target of 0 has no logarithm, and is multiplied by 0 in the end.
        let log = target.add(&is(&target, 0.0)?)?.log()?;
        target.mul(&log.sub(&x)?)?
    };
    match (options.reduction, losses.shape().first()) {
        (KlDivReduction::Of(reduction), _) => reduction.of(&losses),
        (KlDivReduction::BatchMean, None) => losses.sum_all(),
        (KlDivReduction::BatchMean, Some(&rows)) => losses.sum_all()?.mul_add_scalar(1.0 / rows as f32, 0.0),
    }
}
