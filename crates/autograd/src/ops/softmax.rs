//! Softmax and log-softmax over the last axis, and what ops over rows share.

use wgrad_device::shaders::{self, File};

use super::reduction::Rows;
use crate::graph::saved_output;
use crate::{Error, Op, Result, Tensor};

impl Tensor {
    /// `[rows, cols]` of this tensor seen as rows along its last axis.
    pub(crate) fn rows(&self, op: &'static str) -> Result<[usize; 2]> {
        match self.shape() {
            [outer @ .., cols] => Ok([outer.iter().product(), *cols]),
            [] => Err(Error::shape(op, "a scalar has no last axis")),
        }
    }
}

/// Whether what the lanes add up of a unit is map(v, k) of each of its elements, or one sum of them.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Each,
    Total,
    None,
}

impl<'a> Rows<'a> {
    /// Contiguous rows of f32, by quads where they are whole ones.
    pub(crate) fn of(x: &'a Tensor, [rows, cols]: [usize; 2], file: &'static File, unit: Unit) -> Self {
        let width = if cols.is_multiple_of(4) { 4 } else { 1 };
        let mut files = vec![file];
        files.extend(match (unit, width) {
            (Unit::Each, 4) => Some(&shaders::EACH_4),
            (Unit::Each, _) => Some(&shaders::EACH_1),
            (Unit::Total, 4) => Some(&shaders::TOTAL_4),
            (Unit::Total, _) => Some(&shaders::TOTAL_1),
            (Unit::None, _) => None,
        });
        let value = if width == 4 { "vec4<f32>" } else { "f32" };
        let (aliases, constants) = (vec![("V", value), ("C", "f32")], Vec::new());
        Self { gpu: x.gpu(), files, aliases, constants, rows, n: cols / width, length: cols, a: 0.0, b: 0 }
    }
}

/// The gradient of a row by the output: made of kernels, and of ops that have gradients.
struct Softmax {
    name: &'static str,
    y: Tensor,
    file: &'static File,
    recorded: fn(&Tensor, &Tensor) -> Result<Tensor>,
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        self.name
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let dx = Tensor::empty(dy.gpu(), dy.shape())?;
        let rows = Rows::of(dy, dy.rows(self.name)?, self.file, Unit::Total);
        let terms = [("y", self.y.bind()), ("dy", dy.bind())];
        let writes = [("y", self.y.bind()), ("dy", dy.bind()), ("dx", dx.bind())];
        let uses_y = self.name == "softmax";
        rows.map([1, 1], if uses_y { &terms } else { &terms[1..] }, &writes, None)?;
        Ok(vec![Some(dx)])
    }

    fn recorded_backward(&self, dy: &Tensor, _: &[bool]) -> Result<Option<Vec<Option<Tensor>>>> {
        (self.recorded)(&saved_output(&self.y), dy).map(|dx| Some(vec![Some(dx)]))
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
    /// [`Error::Shape`] for a scalar, [`Error::DType`] for integers, [`Error::Device`].
    pub fn softmax(&self) -> Result<Tensor> {
        self.in_f32("softmax", |x| {
            let backward = &shaders::SOFTMAX_BACKWARD;
            x.softmax_by("softmax", [&shaders::SOFTMAX, backward], softmax_gradient)
        })
    }

    /// Logarithm of the softmax over the last axis, without the underflow of computing it in two steps.
    ///
    /// Shape: `[.., n]`, kept. Counterpart: `torch.log_softmax(x, dim=-1)`.
    ///
    /// # Errors
    /// As [`Tensor::softmax`].
    pub fn log_softmax(&self) -> Result<Tensor> {
        self.in_f32("log_softmax", |x| {
            let backward = &shaders::LOG_SOFTMAX_BACKWARD;
            x.softmax_by("log_softmax", [&shaders::LOG_SOFTMAX, backward], log_softmax_gradient)
        })
    }

    fn softmax_by(
        &self,
        name: &'static str,
        [forward, file]: [&'static File; 2],
        recorded: fn(&Tensor, &Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let rows = self.rows(name)?;
        let y = Tensor::empty(self.gpu(), self.shape())?;
        let (x, out) = (("x", self.bind()), ("y", y.bind()));
        Rows::of(self, rows, forward, Unit::Each).map(
            [2, 2],
            std::slice::from_ref(&x),
            &[x.clone(), out],
            None,
        )?;
        let saved = y.detach();
        Ok(y.with_op(&[self], || Softmax { name, y: saved, file, recorded }))
    }
}
