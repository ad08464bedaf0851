//! Other losses of class labels.

use wgrad_autograd::{Error, Result, Tensor};

use super::binary::power;
use super::cross_entropy::{Labels, classes_last};
use super::{Reduction, Weights, check_option, floats, one_minus};

/// Options of [`multi_margin`].
#[derive(Clone, Debug)]
pub struct MultiMarginOptions {
    /// By how much the label's score has to be above the others.
    pub margin: f32,
    /// Whether what is missing counts squared (PyTorch's `p=2`).
    pub squared: bool,
    /// The factor of each class, by the label.
    pub weight: Option<Weights>,
    /// What becomes of the losses of rows.
    pub reduction: Reduction,
}

impl Default for MultiMarginOptions {
    fn default() -> Self {
        Self { margin: 1.0, squared: false, weight: None, reduction: Reduction::Mean }
    }
}

/// Options of [`softmax_focal`].
#[derive(Clone, Debug)]
pub struct SoftmaxFocalOptions {
    /// How much less what is certain counts: the loss is multiplied by `(1 - p)^gamma`, p the label's probability.
    pub gamma: f32,
    /// The factor of each class, alpha; the mean is then divided by the sum of the labels' factors.
    pub weight: Option<Weights>,
    /// The label that is left out.
    pub ignore_index: Option<i32>,
    /// What becomes of the losses of labels.
    pub reduction: Reduction,
}

impl Default for SoftmaxFocalOptions {
    fn default() -> Self {
        Self { gamma: 2.0, weight: None, ignore_index: None, reduction: Reduction::Mean }
    }
}

/// The hinge loss of several classes: the mean over classes of `max(0, margin - x[label] + x[class])`, the label's own left out.
///
/// Shape: scores `[n, classes]` and labels i32 `[n]`; a scalar, or `[n]` with [`Reduction::None`]. A label that is no class makes
/// the loss NaN. Counterpart: `F.multi_margin_loss`; as there, a `weight` does not change what the mean is divided by.
///
/// # Errors
/// [`Error::Shape`] for other shapes or numbers of factors, or for a margin that is negative or not finite; [`Error::DType`] for
/// labels that are not i32; [`Error::Device`].
pub fn multi_margin(scores: &Tensor, labels: &Tensor, options: &MultiMarginOptions) -> Result<Tensor> {
    const OP: &str = "multi_margin";
    let MultiMarginOptions { margin, squared, weight, reduction } = options;
    check_option(OP, "margin", *margin, 0.0)?;
    if scores.shape().len() != 2 {
        return Err(Error::shape(OP, format!("scores {:?}; expected [n, classes]", scores.shape())));
    }
    let x = floats(OP, scores)?;
    let labels = Labels::new(OP, &x, labels, weight.as_ref(), None)?;
    let own = labels.pick(&x)?.unsqueeze(-1)?;
    let missing = x.sub(&own)?.mul_add_scalar(1.0, *margin)?.relu()?;
    let missing = if *squared { missing.square()? } else { missing };
    let others = missing.keep_where(&one_minus(&labels.one_hot()?)?)?;
    reduction.of(&labels.weighted(others.mean(&[-1])?)?)
}

/// Focal loss of several classes: [`cross_entropy`](super::cross_entropy()) times `(1 - p)^gamma`, p the label's probability by
/// softmax.
///
/// Shape: logits `[n, classes]` or `[n, classes, d1, ..]`, labels i32 `[n]` or `[n, d1, ..]`; a scalar, or of the labels' shape
/// with [`Reduction::None`]. Counterpart: none in PyTorch; `-(1 - p).pow(gamma) * p.log()` of the label's p.
///
/// # Errors
/// [`Error::Shape`] for other shapes or numbers of factors, or for a `gamma` that is negative or not finite; [`Error::DType`] for
/// labels that are not i32; [`Error::Device`].
pub fn softmax_focal(logits: &Tensor, labels: &Tensor, options: &SoftmaxFocalOptions) -> Result<Tensor> {
    const OP: &str = "softmax_focal";
    let SoftmaxFocalOptions { gamma, weight, ignore_index, reduction } = options;
    check_option(OP, "gamma", *gamma, 0.0)?;
    let x = floats(OP, logits)?;
    let labels = Labels::new(OP, &x, labels, weight.as_ref(), *ignore_index)?;
    let log = labels.pick(&classes_last(&x)?.log_softmax()?)?;
    // 1 - p with all its digits; rounding may take it below 0.
    let miss = log.expm1()?.neg()?.relu()?;
    let mut losses = log.neg()?;
    if let Some(factor) = power(&miss, *gamma)? {
        losses = losses.mul(&factor)?;
    }
    labels.reduce(&labels.weighted(losses)?, *reduction)
}
