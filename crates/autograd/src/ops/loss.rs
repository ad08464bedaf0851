//! Losses, each the mean over the batch.

use wgrad_device::shaders::{self, Kernel};

use super::reduction::{Layout, RowKernel, Rows, TermCalls, Words};
use crate::graph::no_grad;
use crate::launch::launch;
use crate::{DType, Error, Op, Result, Tensor};

/// Options of [`Tensor::cross_entropy_with`]; the default is PyTorch's, but for the index that it ignores.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CrossEntropyOptions {
    /// The share of the target that is spread evenly over all classes, from 0 to 1.
    pub label_smoothing: f32,
    /// The label of rows that are left out: they add nothing to the loss and are not counted in its mean. `None`, the default,
    /// leaves out no row, where PyTorch leaves out rows labelled -100.
    pub ignore_index: Option<i32>,
}

/// The state is of four numbers, and what is kept of a row is its maximum and Σ e^(x - maximum).
static FORWARD: RowKernel =
    RowKernel { file: &shaders::CROSS_ENTROPY, term: TermCalls::Each, words: Words { state: 4, settled: 2 } };

/// A map of units alone, by what the forward kernel kept.
static BACKWARD: RowKernel = RowKernel {
    file: &shaders::CROSS_ENTROPY_BACKWARD,
    term: TermCalls::Neither,
    words: Words { state: 0, settled: 2 },
};

struct CrossEntropy {
    x: Tensor,
    labels: Tensor,
    options: CrossEntropyOptions,
    /// The maximum of each row and its Σ e^(x - maximum).
    rows: Tensor,
    /// Rows that count, where some are ignored.
    count: Option<Tensor>,
}

impl CrossEntropy {
    /// The kernels' sizes and constants.
    fn kernels(x: &Tensor, shape: [usize; 2], options: CrossEntropyOptions, backward: bool) -> Rows<'_> {
        let CrossEntropyOptions { label_smoothing, ignore_index } = options;
        let mut rows = Rows::of(x, shape, if backward { &BACKWARD } else { &FORWARD });
        if backward {
            rows.files.push(if shape[1].is_multiple_of(4) { &shaders::CLASS_4 } else { &shaders::CLASS_1 });
        }
        rows.constants = vec![("IGNORE", usize::from(ignore_index.is_some()))];
        (rows.scalar, rows.index) = (label_smoothing, ignore_index.unwrap_or(0) as u32);
        rows
    }

    /// By the gradient of the mean.
    fn input_grad(&self, dy: &Tensor) -> Result<Tensor> {
        // Of the sum of the losses, where the number of rows that count is not the kernel's.
        let dloss = match &self.count {
            Some(count) => dy.div(count)?,
            None => dy.clone(),
        };
        let dx = Tensor::empty(dy.gpu(), self.x.shape())?;
        let rows = Self::kernels(&self.x, self.x.rows("cross_entropy")?, self.options, true);
        let views = [("x", &self.x), ("labels", &self.labels), ("dloss", &dloss), ("dx", &dx)];
        rows.map_units(&self.rows, &views.map(|(name, tensor)| (name, tensor.bind())))?;
        Ok(dx)
    }
}

impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(self.input_grad(dy)?)])
    }

    fn recorded_backward(&self, dy: &Tensor, _: &[bool]) -> Result<Option<Vec<Option<Tensor>>>> {
        // (softmax - target) / rows of those that count: the target is a constant.
        let (target, share) = no_grad(|| -> Result<_> {
            let one = Tensor::full(dy.gpu(), dy.shape(), 1.0)?;
            let share = match (self.options.ignore_index, &self.count) {
                (Some(ignored), Some(count)) => counting(&self.labels, ignored)?.unsqueeze(-1)?.div(count)?,
                _ => one.mul_add_scalar(1.0 / self.labels.numel() as f32, 0.0)?,
            };
            let softmax = self.x.softmax()?.mul(&share)?;
            Ok((softmax.sub(&self.input_grad(&one)?)?, share))
        })?;
        let difference = self.x.softmax()?.mul(&share)?.sub(&target)?;
        Ok(Some(vec![Some(difference.mul(dy)?)]))
    }
}

/// 1 for each label that is not ignored, and 0 for the others.
fn counting(labels: &Tensor, ignored: i32) -> Result<Tensor> {
    let ignored = Tensor::from_slice(labels.gpu(), &[ignored], &[])?;
    labels.equal(&ignored)?.to_dtype(DType::F32)?.mul_add_scalar(-1.0, 1.0)
}

struct BceWithLogits {
    x: Tensor,
    target: Tensor,
}

impl BceWithLogits {
    fn target_grad(&self, dy: &Tensor) -> Result<Tensor> {
        dy.mul(&self.x)?.neg()
    }
}

impl Op for BceWithLogits {
    fn name(&self) -> &'static str {
        "bce_with_logits"
    }

    fn backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let input_grad = || -> Result<Tensor> {
            let dx = Tensor::empty(dy.gpu(), dy.shape())?;
            let n4 = dy.numel().div_ceil(4);
            launch(dy.gpu(), Kernel::new(&shaders::BCE_WITH_LOGITS, "bce_with_logits_backward"))
                .bind_all([("x", self.x.bind_padded()), ("t", self.target.bind_padded())])
                .bind_all([("dy", dy.bind_padded()), ("dx", dx.bind_padded())])
                .set("n4", n4)
                .threads(n4)
                .enqueue()?;
            Ok(dx)
        };
        let target_grad = || self.target_grad(dy);
        Ok(vec![needed[0].then(input_grad).transpose()?, needed[1].then(target_grad).transpose()?])
    }

    fn recorded_backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Option<Vec<Option<Tensor>>>> {
        let input_grad = || self.x.sigmoid()?.sub(&self.target)?.mul(dy);
        let target_grad = || self.target_grad(dy);
        Ok(Some(vec![needed[0].then(input_grad).transpose()?, needed[1].then(target_grad).transpose()?]))
    }
}

impl Tensor {
    /// Mean cross-entropy of the logits `self` against class labels, with label smoothing in `0..=1`. There may be any number of
    /// classes.
    ///
    /// Shape: `[n, classes]` and labels `[n]` of i32 to a scalar. A label that is no class makes the loss NaN, and its row of the
    /// gradient. Counterpart: `torch.nn.functional.cross_entropy(x, labels, label_smoothing=…)`.
    ///
    /// # Errors
    /// [`Error::Shape`] for other shapes or smoothing, [`Error::DType`] for labels that are not i32, [`Error::Device`].
    pub fn cross_entropy(&self, labels: &Tensor, smoothing: f32) -> Result<Tensor> {
        let options = CrossEntropyOptions { label_smoothing: smoothing, ..Default::default() };
        self.cross_entropy_with(labels, options)
    }

    /// As [`Tensor::cross_entropy`], where rows of one label may be ignored: the loss is the mean over the others, and NaN where
    /// there are none, as in PyTorch.
    ///
    /// Counterpart: `torch.nn.functional.cross_entropy(x, labels, ignore_index=…, label_smoothing=…)`.
    ///
    /// # Errors
    /// As [`Tensor::cross_entropy`].
    pub fn cross_entropy_with(&self, labels: &Tensor, options: CrossEntropyOptions) -> Result<Tensor> {
        const OP: &str = "cross_entropy";
        let smoothing = options.label_smoothing;
        if self.shape().len() != 2 || labels.shape() != &self.shape()[..1] || self.shape()[1] == 0 {
            let (own, other) = (self.shape(), labels.shape());
            let message = format!("logits {own:?} and labels {other:?}; expected [n, classes] and [n]");
            return Err(Error::shape(OP, message));
        }
        if !(0.0..=1.0).contains(&smoothing) {
            return Err(Error::shape(OP, format!("label smoothing {smoothing} is not in 0..=1")));
        }
        if labels.dtype() != DType::I32 {
            let message = format!("labels {:?} of {}: they are i32", labels.shape(), labels.dtype());
            return Err(Error::DType { op: OP, message });
        }
        let labels = labels.detach().contiguous()?;
        self.in_f32(OP, |x| x.cross_entropy_f32(labels, options))
    }

    fn cross_entropy_f32(&self, labels: Tensor, options: CrossEntropyOptions) -> Result<Tensor> {
        let [n, cols] = self.rows("cross_entropy")?;
        let [losses, rows] = [Tensor::empty(self.gpu(), &[n])?, Tensor::empty(self.gpu(), &[n, 2])?];
        let kernels = CrossEntropy::kernels(self, [n, cols], options, false);
        let x = ("x", self.bind());
        let puts = [
            ("scores", self.bind()),
            ("labels", labels.bind()),
            ("loss", losses.bind()),
            ("rows", rows.bind()),
        ];
        kernels.reduce(Layout::contiguous(n, kernels.n), &[x], &puts)?;
        let (loss, count) = match options.ignore_index {
            None => (losses.mean_all()?, None),
            Some(ignored) => {
                let count = counting(&labels, ignored)?.sum_all()?;
                (losses.sum_all()?.div(&count)?, Some(count))
            }
        };
        Ok(loss.with_op(&[self], || CrossEntropy { x: self.clone(), labels, options, rows, count }))
    }

    /// Mean squared error against `target` of the same shape, over all elements.
    ///
    /// # Errors
    /// [`Error::Shape`] if the shapes differ, [`Error::Device`].
    pub fn mse_loss(&self, target: &Tensor) -> Result<Tensor> {
        self.same_shape("mse_loss", target)?;
        self.sub(target)?.square()?.mean_all()
    }

    /// Mean binary cross-entropy of the logits `self` against targets in `0..=1`: `ln(1 + e^x) - t·x`, computed so that
    /// nothing overflows and small losses keep their digits.
    ///
    /// # Errors
    /// [`Error::Shape`] if the shapes differ, [`Error::Device`].
    pub fn bce_with_logits(&self, target: &Tensor) -> Result<Tensor> {
        const OP: &str = "bce_with_logits";
        self.same_shape(OP, target)?;
        let target = target.as_f32(OP)?;
        self.in_f32(OP, |x| x.bce_with_logits_f32(&target))
    }

    fn bce_with_logits_f32(&self, target: &Tensor) -> Result<Tensor> {
        let y = Tensor::empty(self.gpu(), self.shape())?;
        let n4 = y.numel().div_ceil(4);
        launch(self.gpu(), Kernel::new(&shaders::BCE_WITH_LOGITS, "bce_with_logits_forward"))
            .bind_all([("x", self.bind_padded()), ("t", target.bind_padded()), ("y", y.bind_padded())])
            .set("n4", n4)
            .threads(n4)
            .enqueue()?;
        let op = || BceWithLogits { x: self.clone(), target: target.clone() };
        y.with_op(&[self, target], op).mean_all()
    }

    fn same_shape(&self, op: &'static str, target: &Tensor) -> Result<()> {
        if self.shape() == target.shape() {
            return Ok(());
        }
        let message =
            format!("prediction {:?} and target {:?} differ in shape", self.shape(), target.shape());
        Err(Error::shape(op, message))
    }
}
