//! Losses of yes and no: binary cross-entropy, focal loss and Dice.

use std::sync::LazyLock;

use wgrad_autograd::{Elementwise, Error, Op, Result, Tensor};

use super::{Reduction, Weights, alike, check_option, floats, one_minus};

/// Options of [`bce`].
#[derive(Clone, Debug, Default)]
pub struct BceOptions {
    /// The factor of each element's loss, of a shape that broadcasts to the prediction's.
    pub weight: Option<Tensor>,
    /// What becomes of the losses of elements. As in PyTorch, a mean divides by their number, whatever their factors.
    pub reduction: Reduction,
}

/// Options of [`bce_with_logits`].
#[derive(Clone, Debug, Default)]
pub struct BceWithLogitsOptions {
    /// The factor of each element's loss, as [`BceOptions`] have it.
    pub weight: Option<Tensor>,
    /// Factors of the losses of positive targets, one for each class along the last axis, or one for all.
    pub pos_weight: Option<Weights>,
    /// What becomes of the losses of elements.
    pub reduction: Reduction,
}

/// Options of [`sigmoid_focal`]; the default is torchvision's, but for the reduction, which there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SigmoidFocalOptions {
    /// The factor of positive targets, in 0..=1, that of negative ones being one minus it; `None` for no factors (torchvision: -1).
    pub alpha: Option<f32>,
    /// How much less what is certain counts: the loss is multiplied by `(1 - p)^gamma`, p the target's probability.
    pub gamma: f32,
    /// What becomes of the losses of elements.
    pub reduction: Reduction,
}

impl Default for SigmoidFocalOptions {
    fn default() -> Self {
        Self { alpha: Some(0.25), gamma: 2.0, reduction: Reduction::Mean }
    }
}

/// Options of [`dice`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiceOptions {
    /// Added to both sides of the fraction, so that an empty mask that was found empty costs nothing.
    pub smooth: f32,
    /// Whether the lower side adds up squares.
    pub squared: bool,
    /// What becomes of the losses of masks.
    pub reduction: Reduction,
}

impl Default for DiceOptions {
    fn default() -> Self {
        Self { smooth: 1e-5, squared: false, reduction: Reduction::Mean }
    }
}

/// Binary cross-entropy by the probability; its gradient is PyTorch's, which is finite at 0 and 1.
struct Bce {
    x: Tensor,
    target: Tensor,
}

impl Bce {
    /// The logarithms of x and 1 - x, -100 at least.
    fn logarithms(&self) -> Result<[Tensor; 2]> {
        let held = |log: Tensor| log.clamp(-100.0, f32::INFINITY);
        Ok([held(self.x.log()?)?, held(self.x.neg()?.log1p()?)?])
    }

    fn losses(&self) -> Result<Tensor> {
        let [yes, no] = self.logarithms()?;
        self.target.mul(&yes)?.add(&one_minus(&self.target)?.mul(&no)?)?.neg()
    }

    fn gradient(&self, dy: &Tensor, needed: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let input_grad = || -> Result<Tensor> {
            let spread = self.x.mul(&one_minus(&self.x)?)?.clamp(1e-12, f32::INFINITY)?;
            dy.mul(&self.x.sub(&self.target)?.div(&spread)?)
        };
        let target_grad = || -> Result<Tensor> {
            let [yes, no] = self.logarithms()?;
            dy.mul(&no.sub(&yes)?)
        };
        Ok(vec![needed[0].then(input_grad).transpose()?, needed[1].then(target_grad).transpose()?])
    }
}

impl Op for Bce {
    fn name(&self) -> &'static str {
        "bce"
    }

    fn backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Vec<Option<Tensor>>> {
        self.gradient(dy, needed)
    }

    fn recorded_backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Option<Vec<Option<Tensor>>>> {
        self.gradient(dy, needed).map(Some)
    }
}

/// Binary cross-entropy of probabilities: `-(target · ln x + (1 - target) · ln(1 - x))`, each logarithm -100 at least.
///
/// Shape: any, the target's too; a scalar, or with [`Reduction::None`] as `x`. Probabilities outside 0..=1 give NaN, where PyTorch
/// fails. Counterpart: `F.binary_cross_entropy`. With logits take [`bce_with_logits`], which keeps its digits.
///
/// # Errors
/// [`Error::Shape`] if the shapes differ or the factors' does not broadcast to them, [`Error::DType`] for integers,
/// [`Error::Device`].
pub fn bce(x: &Tensor, target: &Tensor, options: &BceOptions) -> Result<Tensor> {
    const OP: &str = "bce";
    let [x, target] = alike(OP, x, target)?;
    let op = Bce { x: x.clone(), target: target.clone() };
    let losses = Bce { x: x.detach(), target: target.detach() }.losses()?;
    let losses = losses.with_op(&[&x, &target], || op);
    options.reduction.of(&weighed(OP, losses, options.weight.as_ref())?)
}

/// Losses of elements times their factors.
fn weighed(op: &'static str, losses: Tensor, weight: Option<&Tensor>) -> Result<Tensor> {
    let Some(weight) = weight else { return Ok(losses) };
    let (shape, of) = (losses.shape(), weight.shape());
    let fits = of.len() <= shape.len()
        && of.iter().rev().zip(shape.iter().rev()).all(|(own, size)| own == size || *own == 1);
    if !fits {
        let message = format!("factors {of:?} for losses {shape:?}; they broadcast to the losses' shape");
        return Err(Error::shape(op, message));
    }
    losses.mul(&floats(op, weight)?)
}

/// Binary cross-entropy of logits: `pos_weight · target · ln(1 + e^-x) + (1 - target) · ln(1 + e^x)`.
///
/// Shape: as [`bce`]. Counterpart: `F.binary_cross_entropy_with_logits`.
///
/// # Errors
/// As [`bce`], and [`Error::Shape`] for factors that are neither one nor as many as the last axis is long.
pub fn bce_with_logits(x: &Tensor, target: &Tensor, options: &BceWithLogitsOptions) -> Result<Tensor> {
    const OP: &str = "bce_with_logits";
    let [x, target] = alike(OP, x, target)?;
    let BceWithLogitsOptions { weight, pos_weight, reduction } = options;
    let pos_weight = match pos_weight {
        None if *reduction == Reduction::Mean && weight.is_none() => return x.bce_with_logits(&target),
        Some(weights) if weights.tensor().numel() != 1 => {
            Some(weights.of(OP, x.shape().last().copied().unwrap_or(1))?)
        }
        weights => weights.as_ref().map(Weights::tensor),
    };
    reduction.of(&weighed(OP, logit_losses(&x, &target, pos_weight)?, weight.as_ref())?)
}

fn logit_losses(x: &Tensor, target: &Tensor, pos_weight: Option<&Tensor>) -> Result<Tensor> {
    let positive = match pos_weight {
        Some(weight) => target.mul(&weight.reshape(&[weight.numel()])?)?,
        None => target.clone(),
    };
    let positive = if positive.shape() == x.shape() { positive } else { positive.reshape(x.shape())? };
    // Both terms are at least 0, so that neither takes digits from the other.
    positive.mul(&x.neg()?.softplus()?)?.add(&one_minus(target)?.mul(&x.softplus()?)?)
}

/// x^gamma of numbers from 0 on; the slope at 0 counts as 0.
static POWER: LazyLock<Result<Elementwise>> = LazyLock::new(|| {
    let derivative = "select(gamma * pow(x, gamma - 1.0), 0.0, x == 0.0)";
    Elementwise::new("power", "select(pow(x, gamma), 0.0, x == 0.0)", derivative, &["gamma"])
});

/// `q^gamma`, q at least 0; `None` where that is 1 for all.
pub(super) fn power(q: &Tensor, gamma: f32) -> Result<Option<Tensor>> {
    Ok(Some(match gamma {
        0.0 => return Ok(None),
        1.0 => q.clone(),
        2.0 => q.square()?,
        _ => POWER.as_ref().map_err(Clone::clone)?.apply(q, &[gamma])?,
    }))
}

/// Focal loss of logits: [`bce_with_logits`] times `(1 - p)^gamma`, p the target's probability, and times `alpha` where the target
/// is 1 and `1 - alpha` where it is 0.
///
/// Shape: as [`bce`]. Counterpart: `torchvision.ops.sigmoid_focal_loss`.
///
/// # Errors
/// As [`bce`], and [`Error::Shape`] for an `alpha` that is not in 0..=1 or a `gamma` that is negative or not finite.
pub fn sigmoid_focal(x: &Tensor, target: &Tensor, options: &SigmoidFocalOptions) -> Result<Tensor> {
    const OP: &str = "sigmoid_focal";
    let SigmoidFocalOptions { alpha, gamma, reduction } = *options;
    check_option(OP, "gamma", gamma, 0.0)?;
    if let Some(alpha) = alpha.filter(|alpha| !(0.0..=1.0).contains(alpha)) {
        return Err(Error::shape(OP, format!("alpha {alpha} is not in 0..=1")));
    }
    let [x, target] = alike(OP, x, target)?;
    let mut losses = logit_losses(&x, &target, None)?;
    let miss = x.sigmoid()?.mul(&one_minus(&target)?)?.add(&x.neg()?.sigmoid()?.mul(&target)?)?;
    if let Some(factor) = power(&miss, gamma)? {
        losses = losses.mul(&factor)?;
    }
    if let Some(alpha) = alpha {
        losses = losses.mul(&target.mul_add_scalar(2.0 * alpha - 1.0, 1.0 - alpha)?)?;
    }
    reduction.of(&losses)
}

/// Dice loss of probabilities, by masks: `1 - (2 Σ x·target + smooth) / (Σ x + Σ target + smooth)`, Σ over all axes but the
/// first two.
///
/// Shape: `[n, classes, d1, ..]`, the target's too; a scalar, or `[n, classes]` with [`Reduction::None`]. Take the softmax or the
/// sigmoid first. Counterpart: none in PyTorch; MONAI's `DiceLoss`, with `squared_pred` for `squared`.
///
/// # Errors
/// [`Error::Shape`] if the shapes differ or have less than three axes, or for a `smooth` that is negative or not finite,
/// [`Error::DType`] for integers, [`Error::Device`].
pub fn dice(x: &Tensor, target: &Tensor, options: &DiceOptions) -> Result<Tensor> {
    const OP: &str = "dice";
    let DiceOptions { smooth, squared, reduction } = *options;
    check_option(OP, "smooth", smooth, 0.0)?;
    let [x, target] = alike(OP, x, target)?;
    if x.shape().len() < 3 {
        return Err(Error::shape(OP, format!("masks {:?}; expected [n, classes, d1, ..]", x.shape())));
    }
    let axes: Vec<isize> = (2..x.shape().len() as isize).collect();
    let both = x.mul(&target)?.sum(&axes)?.mul_add_scalar(2.0, smooth)?;
    let [of_x, of_target] = [&x, &target].map(|x| if squared { x.square() } else { Ok(x.clone()) });
    let all = of_x?.sum(&axes)?.add(&of_target?.sum(&axes)?)?.mul_add_scalar(1.0, smooth)?;
    reduction.of(&one_minus(&both.div(&all)?)?)
}
