//! Softmax and log-softmax over the last axis.

use wgrad_device::shaders::{self, Kernel};

use crate::launch::launch;
use crate::{Error, Op, Result, Tensor};

/// Loop iterations of an invocation that goes over a row this many times; each loop's last check counts, and the first loop
/// begins at the second element.
pub(crate) fn row_trips(times: usize, cols: usize) -> usize {
    times * (cols + 1) - 1
}

/// How often a row is gone over at most, by the forward kernels and the gradient of cross-entropy.
pub(crate) const MOST_VISITS: usize = 3;

struct Softmax {
    y: Tensor,
    /// The entry point of the gradient.
    backward: &'static str,
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let [rows, cols] = dy.rows("softmax")?;
        let dx = Tensor::empty(dy.gpu(), dy.shape())?;
        launch(dy.gpu(), Kernel::new(&shaders::SOFTMAX, self.backward))
            .bind_all([("y", self.y.bind()), ("dy", dy.bind()), ("dx", dx.bind())])
            .set_all([("rows", rows), ("cols", cols)])
            .max_iterations(2 * (cols + 1))
            .threads(rows)
            .enqueue()?;
        Ok(vec![Some(dx)])
    }
}

impl Tensor {
    /// `[rows, cols]` of this tensor seen as rows along its last axis.
    pub(crate) fn rows(&self, op: &'static str) -> Result<[usize; 2]> {
        match self.shape().last() {
            Some(&cols) if row_trips(MOST_VISITS, cols) as u64 <= self.gpu().loop_limit() => {
                Ok([self.numel() / cols, cols])
            }
            Some(_) => {
                let longest = (self.gpu().loop_limit() + 1) as usize / MOST_VISITS - 1;
                let message = format!(
                    "rows of {:?}; this adapter's kernels go over rows of up to {longest} elements",
                    self.shape()
                );
                Err(Error::shape(op, message))
            }
            None => Err(Error::shape(op, "a scalar has no last axis")),
        }
    }

    fn softmax_by(&self, op: &'static str, [forward, backward]: [&'static str; 2]) -> Result<Tensor> {
        self.in_f32(op, |x| x.softmax_f32(op, [forward, backward]))
    }

    fn softmax_f32(&self, op: &'static str, [forward, backward]: [&'static str; 2]) -> Result<Tensor> {
        let [rows, cols] = self.rows(op)?;
        let y = Tensor::empty(self.gpu(), self.shape())?;
        launch(self.gpu(), Kernel::new(&shaders::SOFTMAX, forward))
            .bind_all([("x", self.bind()), ("out", y.bind())])
            .set_all([("rows", rows), ("cols", cols)])
            .max_iterations(row_trips(3, cols))
            .threads(rows)
            .enqueue()?;
        let saved = y.detach();
        Ok(y.with_op(&[self], || Softmax { y: saved, backward }))
    }

    /// Softmax over the last axis, shifted by each row's maximum so that it cannot overflow. A row with a NaN or +inf is
    /// NaN, as in PyTorch.
    ///
    /// Shape: `[.., n]`, kept. Counterpart: `torch.softmax(x, dim=-1)`.
    ///
    /// # Errors
    /// [`Error::Shape`] for a scalar, or for rows longer than 21,844 on an adapter that limits loops
    /// ([`Gpu::loop_limit`](wgrad_device::Gpu::loop_limit)); [`Error::Device`].
    pub fn softmax(&self) -> Result<Tensor> {
        self.softmax_by("softmax", ["softmax_forward", "softmax_backward"])
    }

    /// Logarithm of the softmax over the last axis, without the underflow of computing it in two steps.
    ///
    /// Shape: `[.., n]`, kept. Counterpart: `torch.log_softmax(x, dim=-1)`.
    ///
    /// # Errors
    /// As [`Tensor::softmax`].
    pub fn log_softmax(&self) -> Result<Tensor> {
        self.softmax_by("log_softmax", ["log_softmax_forward", "log_softmax_backward"])
    }
}
