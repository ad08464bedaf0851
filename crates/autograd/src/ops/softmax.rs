//! Softmax and log-softmax over the last axis.

use wgrad_device::shaders::{self, Kernel};

use crate::{Error, Op, Result, Tensor};

/// Longest row: one invocation goes over it three times.
pub(crate) const LONGEST_ROW: usize = 65_535 / 3;

struct Softmax {
    y: Tensor,
    kernel: &'static Kernel,
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let [rows, cols] = dy.rows("softmax")?;
        let dx = Tensor::empty(dy.gpu(), dy.shape())?;
        let launch = dy.gpu().launch(self.kernel).bind("y", self.y.view()).bind("dy", dy.view());
        let launch = launch.bind("dx", dx.view()).set("rows", rows).set("cols", cols);
        launch.trips(2 * cols).threads(rows).record()?;
        Ok(vec![Some(dx)])
    }
}

impl Tensor {
    /// `[rows, cols]` of this tensor seen as rows along its last axis.
    pub(crate) fn rows(&self, op: &'static str) -> Result<[usize; 2]> {
        match self.shape().last() {
            Some(&cols) if cols <= LONGEST_ROW => Ok([self.numel() / cols, cols]),
            Some(_) => {
                let message = format!("rows of {:?} are longer than {LONGEST_ROW}", self.shape());
                Err(Error::shape(op, message))
            }
            None => Err(Error::shape(op, "a scalar has no last axis")),
        }
    }

    fn softmax_by(
        &self,
        op: &'static str,
        forward: &'static Kernel,
        backward: &'static Kernel,
    ) -> Result<Tensor> {
        let [rows, cols] = self.rows(op)?;
        let y = Tensor::empty(self.gpu(), self.shape())?;
        let launch = self.gpu().launch(forward).bind("x", self.view()).bind("out", y.view());
        launch.set("rows", rows).set("cols", cols).trips(3 * cols).threads(rows).record()?;
        let saved = y.detach();
        Ok(y.recorded(&[self], || Softmax { y: saved, kernel: backward }))
    }

    /// Softmax over the last axis, shifted by each row's maximum so that it cannot overflow.
    ///
    /// Shape: `[.., n]`, kept. Counterpart: `torch.softmax(x, dim=-1)`.
    ///
    /// # Errors
    /// [`Error::Shape`] for a scalar or rows longer than 21,845, [`Error::Device`].
    pub fn softmax(&self) -> Result<Tensor> {
        self.softmax_by("softmax", &shaders::SOFTMAX_FORWARD, &shaders::SOFTMAX_BACKWARD)
    }

    /// Logarithm of the softmax over the last axis, without the underflow of computing it in two steps.
    ///
    /// Shape: `[.., n]`, kept. Counterpart: `torch.log_softmax(x, dim=-1)`.
    ///
    /// # Errors
    /// As [`Tensor::softmax`].
    pub fn log_softmax(&self) -> Result<Tensor> {
        self.softmax_by("log_softmax", &shaders::LOG_SOFTMAX_FORWARD, &shaders::LOG_SOFTMAX_BACKWARD)
    }
}
