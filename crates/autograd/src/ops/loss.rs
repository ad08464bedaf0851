//! Losses, each the mean over the batch.

use wgrad_device::shaders;

use crate::{Error, Indices, Op, Result, Tensor};

struct CrossEntropy {
    x: Tensor,
    labels: Indices,
    smoothing: f32,
}

impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let [rows, cols] = self.x.rows("cross_entropy")?;
        let dx = Tensor::empty(dy.gpu(), self.x.shape())?;
        let launch = dy.gpu().launch(&shaders::CROSS_ENTROPY_BACKWARD).bind("x", self.x.view());
        let launch = launch.bind("labels", self.labels.view()).bind("dloss", dy.view()).bind("dx", dx.view());
        let launch = launch.set("rows", rows).set("cols", cols).set_f32("smoothing", self.smoothing);
        launch.set_f32("scale", 1.0 / rows as f32).trips(3 * cols).threads(rows).record()?;
        Ok(vec![Some(dx)])
    }
}

impl Tensor {
    /// Mean cross-entropy of the logits `self` against class labels, with label smoothing in `0..=1`; one fused
    /// kernel forward and one backward.
    ///
    /// Shape: `[n, classes]` and labels `[n]` to a scalar. A label that is no class makes the loss NaN.
    /// Counterpart: `torch.nn.functional.cross_entropy(x, labels, label_smoothing=…)`.
    ///
    /// # Errors
    /// [`Error::Shape`] for other shapes or smoothing, or more than 21,845 classes; [`Error::Device`].
    pub fn cross_entropy(&self, labels: &Indices, smoothing: f32) -> Result<Tensor> {
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
        let [rows, cols] = self.rows(OP)?;
        let losses = Tensor::empty(self.gpu(), &[rows])?;
        let launch = self.gpu().launch(&shaders::CROSS_ENTROPY_FORWARD).bind("x", self.view());
        let launch = launch.bind("labels", labels.view()).bind("loss", losses.view());
        let launch = launch.set("rows", rows).set("cols", cols).set_f32("smoothing", smoothing);
        launch.set_f32("scale", 1.0).trips(2 * cols).threads(rows).record()?;
        let loss = losses.mean_all()?;
        let op = || CrossEntropy { x: self.detach(), labels: labels.clone(), smoothing };
        Ok(loss.recorded(&[self], op))
    }

    /// Mean squared error against `target` of the same shape, over all elements.
    ///
    /// # Errors
    /// [`Error::Shape`] if the shapes differ, [`Error::Device`].
    pub fn mse_loss(&self, target: &Tensor) -> Result<Tensor> {
        self.same_shape("mse_loss", target)?;
        self.sub(target)?.square()?.mean_all()
    }

    /// Mean binary cross-entropy of the logits `self` against targets in `0..=1`: `ln(1 + e^x) - t·x`, which
    /// cannot overflow.
    ///
    /// # Errors
    /// [`Error::Shape`] if the shapes differ, [`Error::Device`].
    pub fn bce_with_logits(&self, target: &Tensor) -> Result<Tensor> {
        self.same_shape("bce_with_logits", target)?;
        self.softplus()?.sub(&self.mul(target)?)?.mean_all()
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
