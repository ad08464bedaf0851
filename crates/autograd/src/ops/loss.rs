//! Losses, each the mean over the batch.

use wgrad_device::shaders::{self, Kernel};

use super::softmax::row_trips;
use crate::launch::launch;
use crate::{DType, Error, Op, Result, Tensor};

struct CrossEntropy {
    x: Tensor,
    labels: Tensor,
    smoothing: f32,
}

impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let [rows, cols] = self.x.rows("cross_entropy")?;
        let dx = Tensor::empty(dy.gpu(), self.x.shape())?;
        launch(dy.gpu(), Kernel::new(&shaders::CROSS_ENTROPY, "cross_entropy_backward"))
            .bind_all([("x", self.x.bind()), ("labels", self.labels.bind())])
            .bind_all([("dloss", dy.bind()), ("dx", dx.bind())])
            .set_all([("rows", rows), ("cols", cols)])
            .set_all_f32([("smoothing", self.smoothing), ("scale", 1.0 / rows as f32)])
            .max_iterations(row_trips(3, cols))
            .threads(rows)
            .enqueue()?;
        Ok(vec![Some(dx)])
    }
}

struct BceWithLogits {
    x: Tensor,
    target: Tensor,
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
        let target_grad = || -> Result<Tensor> { dy.mul(&self.x)?.neg() };
        Ok(vec![needed[0].then(input_grad).transpose()?, needed[1].then(target_grad).transpose()?])
    }
}

impl Tensor {
    /// Mean cross-entropy of the logits `self` against class labels, with label smoothing in `0..=1`; one fused
    /// kernel forward and one backward.
    ///
    /// Shape: `[n, classes]` and labels `[n]` to a scalar. A label that is no class makes the loss NaN, and its row of the
    /// gradient.
    /// Counterpart: `torch.nn.functional.cross_entropy(x, labels, label_smoothing=…)`.
    ///
    /// # Errors
    /// [`Error::Shape`] for other shapes or smoothing, or more classes than [`Tensor::softmax`] takes;
    /// [`Error::Device`].
    pub fn cross_entropy(&self, labels: &Tensor, smoothing: f32) -> Result<Tensor> {
        const OP: &str = "cross_entropy";
        if self.shape().len() != 2 || labels.shape() != &self.shape()[..1] {
            let message = format!(
                "logits {:?} and labels {:?}; expected [n, classes] and [n]",
                self.shape(),
                labels.shape()
            );
            return Err(Error::shape(OP, message));
        }
        if !(0.0..=1.0).contains(&smoothing) {
            return Err(Error::shape(OP, format!("label smoothing {smoothing} is not in 0..=1")));
        }
        if labels.dtype() != DType::I32 {
            let message = format!("labels {:?} of {}: they are i32", labels.shape(), labels.dtype());
            return Err(Error::DType { op: OP, message });
        }
        let labels = labels.contiguous()?;
        self.in_f32(OP, |x| x.cross_entropy_f32(labels, smoothing))
    }

    fn cross_entropy_f32(&self, labels: Tensor, smoothing: f32) -> Result<Tensor> {
        let [rows, cols] = self.rows("cross_entropy")?;
        let losses = Tensor::empty(self.gpu(), &[rows])?;
        launch(self.gpu(), Kernel::new(&shaders::CROSS_ENTROPY, "cross_entropy_forward"))
            .bind_all([("x", self.bind()), ("labels", labels.bind()), ("loss", losses.bind())])
            .set_all([("rows", rows), ("cols", cols)])
            .set_all_f32([("smoothing", smoothing), ("scale", 1.0)])
            .max_iterations(row_trips(2, cols))
            .threads(rows)
            .enqueue()?;
        let loss = losses.mean_all()?;
        let op = || CrossEntropy { x: self.detach(), labels, smoothing };
        Ok(loss.with_op(&[self], op))
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
        let op = || BceWithLogits { x: self.detach(), target: target.detach() };
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
