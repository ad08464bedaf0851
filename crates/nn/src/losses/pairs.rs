//! Losses of distances between pairs and triplets.

use wgrad_autograd::{Error, Result, Tensor};

use super::binary::power;
use super::{Reduction, alike, check_option, floats, is_not, one_minus};

/// Options of [`hinge_embedding`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HingeEmbeddingOptions {
    /// The distance from which on an unlike pair costs nothing.
    pub margin: f32,
    /// What becomes of the losses of elements.
    pub reduction: Reduction,
}

impl Default for HingeEmbeddingOptions {
    fn default() -> Self {
        Self { margin: 1.0, reduction: Reduction::Mean }
    }
}

/// Options of [`cosine_embedding`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CosineEmbeddingOptions {
    /// The cosine up to which an unlike pair costs nothing, from -1 to 1.
    pub margin: f32,
    /// What becomes of the losses of rows.
    pub reduction: Reduction,
}

/// Options of [`triplet_margin`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TripletMarginOptions {
    /// Which norm of a difference is the distance: 2 is Euclid's, 1 the sum of magnitudes, infinity the largest one; above 0.
    pub p: f32,
    /// By how much the negative has to be farther away than the positive, above 0.
    pub margin: f32,
    /// Added to each difference, so that a distance of 0 has a gradient.
    pub eps: f32,
    /// Whether the negative's distance from the positive counts where that is the smaller one.
    pub swap: bool,
    /// What becomes of the losses of rows.
    pub reduction: Reduction,
}

impl Default for TripletMarginOptions {
    fn default() -> Self {
        Self { p: 2.0, margin: 1.0, eps: 1e-6, swap: false, reduction: Reduction::Mean }
    }
}

/// The hinge loss of distances: `x` where the target is 1, and `max(0, margin - x)` where it is -1.
///
/// Shape: any, the target's too; a scalar, or with [`Reduction::None`] as `x`. Other targets than 1 and -1 get the sum of both.
/// Counterpart: `F.hinge_embedding_loss`. The hinge loss of class scores is [`multi_margin`](super::multi_margin).
///
/// # Errors
/// [`Error::Shape`] if the shapes differ or for a margin that is negative or not finite, [`Error::DType`] for integers,
/// [`Error::Device`].
pub fn hinge_embedding(x: &Tensor, target: &Tensor, options: &HingeEmbeddingOptions) -> Result<Tensor> {
    const OP: &str = "hinge_embedding";
    let HingeEmbeddingOptions { margin, reduction } = *options;
    check_option(OP, "margin", margin, 0.0)?;
    let [x, target] = alike(OP, x, target)?;
    let unlike = x.mul_add_scalar(-1.0, margin)?.relu()?.keep_where(&is_not(&target, 1.0)?)?;
    reduction.of(&unlike.add(&x.keep_where(&is_not(&target, -1.0)?)?)?)
}

/// One minus the cosine of the angle between two rows where the target is 1, and `max(0, cosine - margin)` where it is -1.
///
/// Shape: `[n, d]` twice and a target `[n]` of floats; a scalar, or `[n]` with [`Reduction::None`]. Rows of target 0 cost nothing.
/// Counterpart: `F.cosine_embedding_loss`; as there, 1e-12 is added to the squared lengths.
///
/// # Errors
/// [`Error::Shape`] for other shapes or a margin that is not in -1..=1, [`Error::DType`] for integers, [`Error::Device`].
pub fn cosine_embedding(
    a: &Tensor,
    b: &Tensor,
    target: &Tensor,
    options: &CosineEmbeddingOptions,
) -> Result<Tensor> {
    const OP: &str = "cosine_embedding";
    let CosineEmbeddingOptions { margin, reduction } = *options;
    if !(-1.0..=1.0).contains(&margin) {
        return Err(Error::shape(OP, format!("margin {margin} is not in -1..=1")));
    }
    if a.shape().len() != 2 || target.shape() != &a.shape()[..1] {
        let message =
            format!("rows {:?} and target {:?}; expected [n, d] and [n]", a.shape(), target.shape());
        return Err(Error::shape(OP, message));
    }
    let ([a, b], target) = (alike(OP, a, b)?, floats(OP, target)?);
    let length = |x: &Tensor| x.square()?.sum(&[1])?.mul_add_scalar(1.0, 1e-12)?.sqrt();
    let cosine = a.mul(&b)?.sum(&[1])?.div(&length(&a)?.mul(&length(&b)?)?)?;
    let like = one_minus(&cosine)?.keep_where(&super::is(&target, 1.0)?)?;
    let unlike = cosine.mul_add_scalar(1.0, -margin)?.relu()?.keep_where(&super::is(&target, -1.0)?)?;
    reduction.of(&like.add(&unlike)?)
}

/// `max(0, |anchor - positive| - |anchor - negative| + margin)` by distances along the last axis.
///
/// Shape: three tensors `[.., d]` of one shape; a scalar, or `[..]` with [`Reduction::None`]. Counterpart:
/// `F.triplet_margin_loss`.
///
/// # Errors
/// [`Error::Shape`] for shapes that differ, scalars, a `p` or a margin that is not above 0 or an `eps` that is negative, [`Error::DType`]
/// for integers, [`Error::Device`].
pub fn triplet_margin(
    anchor: &Tensor,
    positive: &Tensor,
    negative: &Tensor,
    options: &TripletMarginOptions,
) -> Result<Tensor> {
    const OP: &str = "triplet_margin";
    let TripletMarginOptions { p, margin, eps, swap, reduction } = *options;
    if p.is_nan() || p <= 0.0 {
        return Err(Error::shape(OP, format!("p {p}: a norm's power is above 0")));
    }
    check_option(OP, "margin", margin, f32::MIN_POSITIVE)?;
    check_option(OP, "eps", eps, 0.0)?;
    let [anchor, positive] = alike(OP, anchor, positive)?;
    let [_, negative] = alike(OP, &anchor, negative)?;
    let distance = |a: &Tensor, b: &Tensor| norm(&a.sub(b)?.mul_add_scalar(1.0, eps)?, p);
    let mut far = distance(&anchor, &negative)?;
    if swap {
        far = far.minimum(&distance(&positive, &negative)?)?;
    }
    reduction.of(&distance(&anchor, &positive)?.sub(&far)?.mul_add_scalar(1.0, margin)?.relu()?)
}

/// The p-norm along the last axis.
fn norm(x: &Tensor, p: f32) -> Result<Tensor> {
    if p == 2.0 {
        return x.norm(&[-1]);
    }
    let size = x.abs()?;
    if p == f32::INFINITY {
        return size.max(&[-1]);
    }
    let raised = power(&size, p)?.unwrap_or(size).sum(&[-1])?;
    Ok(power(&raised, 1.0 / p)?.unwrap_or(raised))
}
