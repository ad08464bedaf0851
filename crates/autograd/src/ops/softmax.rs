//! Softmax and log-softmax over the last axis.

use wgrad_device::shaders::{self, File};

use super::reduction::{RowKernel, Rows, TermCalls, Words};
use crate::graph::saved_output;
use crate::{Op, Result, Tensor};

/// Softmax or its logarithm.
struct Kind {
    name: &'static str,
    forward: RowKernel,
    backward: RowKernel,
    /// Whether the sum that `backward` makes of a row looks at y.
    sums_y: bool,
    /// The gradient by y and dy, made of ops.
    recorded: fn(y: &Tensor, dy: &Tensor) -> Result<Tensor>,
}

static SOFTMAX: Kind = Kind {
    name: "softmax",
    forward: maps_by_maximum(&shaders::SOFTMAX),
    backward: maps_by_sum(&shaders::SOFTMAX_BACKWARD),
    sums_y: true,
    recorded: softmax_gradient,
};

static LOG_SOFTMAX: Kind = Kind {
    name: "log_softmax",
    forward: maps_by_maximum(&shaders::LOG_SOFTMAX),
    backward: maps_by_sum(&shaders::LOG_SOFTMAX_BACKWARD),
    sums_y: false,
    recorded: log_softmax_gradient,
};

/// A kernel whose state is a row's maximum and Σ e^(x - maximum).
const fn maps_by_maximum(file: &'static File) -> RowKernel {
    RowKernel { file, term: TermCalls::Each, words: Words { state: 2, settled: 2 } }
}

/// A kernel whose state is one sum.
const fn maps_by_sum(file: &'static File) -> RowKernel {
    RowKernel { file, term: TermCalls::Total, words: Words { state: 1, settled: 1 } }
}

struct Softmax {
    kind: &'static Kind,
    y: Tensor,
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        self.kind.name
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let dx = Tensor::empty(dy.gpu(), dy.shape())?;
        let rows = Rows::of(dy, dy.rows(self.kind.name)?, &self.kind.backward);
        let views = [("y", self.y.bind()), ("dy", dy.bind()), ("dx", dx.bind())];
        rows.map(if self.kind.sums_y { &views[..2] } else { &views[1..2] }, &views, None)?;
        Ok(vec![Some(dx)])
    }

    fn recorded_backward(&self, dy: &Tensor, _: &[bool]) -> Result<Option<Vec<Option<Tensor>>>> {
        (self.kind.recorded)(&saved_output(&self.y), dy).map(|dx| Some(vec![Some(dx)]))
    }
}

/// `y · (dy - Σ dy·y)`
fn softmax_gradient(y: &Tensor, dy: &Tensor) -> Result<Tensor> {
    let share = dy.mul(y)?;
    share.sub(&y.mul(&share.sum(&[-1])?.unsqueeze(-1)?)?)
}

/// `dy - e^y · Σ dy`
fn log_softmax_gradient(y: &Tensor, dy: &Tensor) -> Result<Tensor> {
    dy.sub(&y.exp()?.mul(&dy.sum(&[-1])?.unsqueeze(-1)?)?)
}

impl Tensor {
    /// Softmax over the last axis, shifted by each row's maximum so that it cannot overflow. A row with a NaN or +inf is
    /// NaN, as in PyTorch. Rows may have any length.
    ///
    /// Shape: `[.., n]`, kept. Counterpart: `torch.softmax(x, dim=-1)`.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] for a scalar, [`crate::Error::DType`] for integers, [`crate::Error::Device`].
    pub fn softmax(&self) -> Result<Tensor> {
        self.in_f32(SOFTMAX.name, |x| x.softmax_by(&SOFTMAX))
    }

    /// Logarithm of the softmax over the last axis, without the underflow of computing it in two steps.
    ///
    /// Shape: `[.., n]`, kept. Counterpart: `torch.log_softmax(x, dim=-1)`.
    ///
    /// # Errors
    /// As [`Tensor::softmax`].
    pub fn log_softmax(&self) -> Result<Tensor> {
        self.in_f32(LOG_SOFTMAX.name, |x| x.softmax_by(&LOG_SOFTMAX))
    }

    fn softmax_by(&self, kind: &'static Kind) -> Result<Tensor> {
        let y = Tensor::empty(self.gpu(), self.shape())?;
        let views = [("x", self.bind()), ("y", y.bind())];
        Rows::of(self, self.rows(kind.name)?, &kind.forward).map(&views[..1], &views, None)?;
        let saved = y.detach();
        Ok(y.with_op(&[self], || Softmax { kind, y: saved }))
    }
}
