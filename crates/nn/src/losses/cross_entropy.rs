//! Cross-entropy and the negative log-likelihood, of class labels and of soft targets.

use wgrad_autograd::{DType, Error, Result, Tensor};

use super::{Reduction, Weights, alike, floats};

/// Options of [`cross_entropy`]; the default is PyTorch's, but for the index that it ignores.
#[derive(Clone, Debug, Default)]
pub struct CrossEntropyOptions {
    /// The factor of each class; the mean is then divided by the sum of the targets' factors.
    pub weight: Option<Weights>,
    /// The label that is left out: it adds nothing to the loss and is not counted in its mean. `None`, the default, leaves out
    /// none, where PyTorch leaves out -100.
    pub ignore_index: Option<i32>,
    /// The share of the target that is spread evenly over all classes, in 0..=1.
    pub label_smoothing: f32,
    /// What becomes of the losses of labels.
    pub reduction: Reduction,
}

/// Options of [`nll`], as [`CrossEntropyOptions`] has them.
#[derive(Clone, Debug, Default)]
pub struct NllOptions {
    /// The factor of each class.
    pub weight: Option<Weights>,
    /// The label that is left out.
    pub ignore_index: Option<i32>,
    /// What becomes of the losses of labels.
    pub reduction: Reduction,
}

/// Class labels `[n, d1, ..]`, and which of them count how much.
pub(super) struct Labels {
    at: Tensor,
    /// 1 for each label that counts and 0 for the others, where some may be ignored.
    kept: Option<Tensor>,
    /// The factor of each label's class, 0 for ignored ones; `None` where all are 1.
    factor: Option<Tensor>,
    classes: usize,
}

impl Labels {
    /// The labels of `x` `[n, classes, d1, ..]`, checked.
    pub(super) fn new(
        op: &'static str,
        x: &Tensor,
        labels: &Tensor,
        weight: Option<&Weights>,
        ignore_index: Option<i32>,
    ) -> Result<Self> {
        let classes = classes(op, x)?;
        let mut shape = x.shape().to_vec();
        shape.remove(1);
        if labels.shape() != shape {
            let message =
                format!("scores {:?} and labels {:?}; expected labels {shape:?}", x.shape(), labels.shape());
            return Err(Error::shape(op, message));
        }
        if labels.dtype() != DType::I32 {
            let message = format!("labels {shape:?} of {}: class labels are i32", labels.dtype());
            return Err(Error::DType { op, message });
        }
        let at = labels.detach().contiguous()?;
        let kept = ignore_index.map(|ignored| -> Result<Tensor> {
            let is_ignored = at.equal(&Tensor::from_slice(at.gpu(), &[ignored], &[])?)?;
            super::one_minus(&is_ignored.to_dtype(DType::F32)?)
        });
        let kept = kept.transpose()?;
        let factor = match weight {
            Some(weight) => {
                let of_labels = weight.of(op, classes)?.index_select(0, &at.reshape(&[at.numel()])?)?;
                Some(keep(of_labels.reshape(&shape)?, kept.as_ref())?)
            }
            None => kept.clone(),
        };
        Ok(Self { at, kept, factor, classes })
    }

    /// Of `x` `[n, d1, .., classes]` the element that each label names; 0 where it is ignored.
    pub(super) fn pick(&self, x: &Tensor) -> Result<Tensor> {
        keep(x.gather(-1, &self.at.unsqueeze(-1)?)?.squeeze(-1)?, self.kept.as_ref())
    }

    /// 1 for each label's own class and 0 for the others, `[n, d1, .., classes]`, f32.
    pub(super) fn one_hot(&self) -> Result<Tensor> {
        let all: Vec<i32> = (0..self.classes as i32).collect();
        let all = Tensor::from_slice(self.at.gpu(), &all, &[self.classes])?;
        self.at.unsqueeze(-1)?.equal(&all)?.to_dtype(DType::F32)
    }

    /// Losses of labels times the factors of their classes.
    pub(super) fn weighted(&self, losses: Tensor) -> Result<Tensor> {
        match &self.factor {
            Some(factor) => keep(losses, self.kept.as_ref())?.mul(factor),
            None => Ok(losses),
        }
    }

    /// Losses that have their factors already; their mean is the sum over that of the factors.
    pub(super) fn reduce(&self, losses: &Tensor, reduction: Reduction) -> Result<Tensor> {
        match (&self.factor, reduction) {
            (Some(factor), Reduction::Mean) => losses.sum_all()?.div(&factor.sum_all()?),
            _ => reduction.of(losses),
        }
    }
}

fn keep(x: Tensor, kept: Option<&Tensor>) -> Result<Tensor> {
    kept.map_or(Ok(x.clone()), |kept| x.keep_where(kept))
}

fn classes(op: &'static str, x: &Tensor) -> Result<usize> {
    match x.shape() {
        [_, classes, ..] if *classes > 0 => Ok(*classes),
        shape => Err(Error::shape(op, format!("scores {shape:?}; expected [n, classes, d1, ..]"))),
    }
}

/// `[n, classes, d1, ..]` as `[n, d1, .., classes]`.
pub(super) fn classes_last(x: &Tensor) -> Result<Tensor> {
    let rank = x.shape().len() as isize;
    let order: Vec<isize> = [0].into_iter().chain(2..rank).chain([1]).collect();
    x.permute(&order)
}

/// Cross-entropy of logits against class labels or soft targets.
///
/// Shape: logits `[n, classes]` or `[n, classes, d1, ..]`. Labels are i32, `[n]` or `[n, d1, ..]`; soft targets are probabilities,
/// floats of the logits' shape, and have no label to ignore. The result is a scalar, or of the labels' shape with
/// [`Reduction::None`]. A label that is no class makes the loss NaN. Counterpart: `F.cross_entropy`.
///
/// The mean is over the labels that count, and with a `weight` the sum over that of their factors; of soft targets it is over all
/// of them. Label smoothing neither counts ignored labels nor looks for a factor of theirs.
///
/// # Errors
/// [`Error::Shape`] for other shapes, as many factors as there are not classes, smoothing outside 0..=1, and an ignored label of
/// soft targets; [`Error::DType`] for logits that are no floats; [`Error::Device`].
pub fn cross_entropy(logits: &Tensor, target: &Tensor, options: &CrossEntropyOptions) -> Result<Tensor> {
    const OP: &str = "cross_entropy";
    let smoothing = options.label_smoothing;
    if !(0.0..=1.0).contains(&smoothing) {
        return Err(Error::shape(OP, format!("label smoothing {smoothing} is not in 0..=1")));
    }
    let x = floats(OP, logits)?;
    if target.dtype().is_float() {
        return soft_cross_entropy(&x, target, options);
    }
    let CrossEntropyOptions { weight, ignore_index, reduction, .. } = options;
    let labels = Labels::new(OP, &x, target, weight.as_ref(), *ignore_index)?;
    let classes = labels.classes;
    let x = classes_last(&x)?;
    if weight.is_none() && *reduction == Reduction::Mean {
        // One kernel does it all.
        let n = labels.at.numel();
        let options =
            wgrad_autograd::CrossEntropyOptions { label_smoothing: smoothing, ignore_index: *ignore_index };
        return x.reshape(&[n, classes])?.cross_entropy_with(&labels.at.reshape(&[n])?, options);
    }
    let log = x.log_softmax()?;
    let mut losses = labels.weighted(labels.pick(&log)?.neg()?)?;
    if smoothing > 0.0 {
        let log = match weight {
            Some(weight) => log.mul(weight.tensor())?,
            None => log,
        };
        let spread =
            keep(log.sum(&[-1])?, labels.kept.as_ref())?.mul_add_scalar(-smoothing / classes as f32, 0.0)?;
        losses = losses.mul_add_scalar(1.0 - smoothing, 0.0)?.add(&spread)?;
    }
    labels.reduce(&losses, *reduction)
}

fn soft_cross_entropy(x: &Tensor, target: &Tensor, options: &CrossEntropyOptions) -> Result<Tensor> {
    const OP: &str = "cross_entropy";
    let CrossEntropyOptions { weight, ignore_index, label_smoothing, reduction } = options;
    let classes = classes(OP, x)?;
    let [x, target] = alike(OP, x, target)?;
    if let Some(ignored) = ignore_index {
        let message =
            format!("soft targets {:?}, and label {ignored} ignored: they have no labels", target.shape());
        return Err(Error::shape(OP, message));
    }
    let (x, mut target) = (classes_last(&x)?, classes_last(&target)?);
    if *label_smoothing > 0.0 {
        target = target.mul_add_scalar(1.0 - label_smoothing, label_smoothing / classes as f32)?;
    }
    if let Some(weight) = weight {
        target = target.mul(weight.of(OP, classes)?)?;
    }
    reduction.of(&x.log_softmax()?.mul(&target)?.sum(&[-1])?.neg()?)
}

/// The negative log-likelihood of class labels: [`cross_entropy`] of what has been through `log_softmax`.
///
/// Shape: logarithms of probabilities `[n, classes]` or `[n, classes, d1, ..]`, labels i32 `[n]` or `[n, d1, ..]`; a scalar, or of
/// the labels' shape with [`Reduction::None`]. Counterpart: `F.nll_loss`.
///
/// # Errors
/// As [`cross_entropy`], and [`Error::DType`] for labels that are not i32.
pub fn nll(x: &Tensor, labels: &Tensor, options: &NllOptions) -> Result<Tensor> {
    const OP: &str = "nll";
    let x = floats(OP, x)?;
    let labels = Labels::new(OP, &x, labels, options.weight.as_ref(), options.ignore_index)?;
    let losses = labels.weighted(labels.pick(&classes_last(&x)?)?.neg()?)?;
    labels.reduce(&losses, options.reduction)
}
