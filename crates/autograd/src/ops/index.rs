//! Ops that pick elements by index.

use wgrad_device::Launch;
use wgrad_device::shaders::{self, Kernel};

use crate::launch::launch;
use crate::shape::{checked_axis, numel};
use crate::{DType, Error, Op, Result, Tensor};

/// `x` seen as `[outer, n, inner]`, of which `[outer, m, inner]` are picked.
#[derive(Clone)]
struct Picked {
    name: &'static str,
    /// Of `x`.
    shape: Vec<usize>,
    axis: usize,
    at: Tensor,
    /// Whether one list of indices is for all lines, or each element picked has its own.
    shared: bool,
}

impl Picked {
    fn inner(&self) -> usize {
        numel(&self.shape[self.axis + 1..])
    }

    /// Indices along the axis.
    fn picked(&self) -> usize {
        if self.shared { self.at.numel() } else { self.at.shape()[self.axis] }
    }

    fn output(&self) -> Vec<usize> {
        let mut shape = self.shape.clone();
        shape[self.axis] = self.picked();
        if !self.shared {
            shape = self.at.shape().to_vec();
        }
        shape
    }

    fn set<'a>(&self, launch: Launch<'a>, total: usize) -> Launch<'a> {
        launch
            .constant("SHARED", usize::from(self.shared))
            .set_all([("total", total), ("n", self.shape[self.axis]), ("m", self.picked())])
            .set("inner", self.inner())
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let dtype = x.dtype();
        let y = Tensor::empty_of(x.gpu(), &self.output(), dtype)?;
        // What an index out of range reads: NaN, or the least integer.
        let nowhere = if dtype.is_float() { 0x7fc0_0000 } else { 0x8000_0000 };
        let launch = launch(x.gpu(), Kernel::new(&shaders::GATHER, "gather")).alias("E", dtype.wgsl());
        self.set(launch, y.numel())
            .alias("N", dtype.computed())
            .bind_all([("x", x.bind()), ("at", self.at.bind()), ("y", y.bind())])
            .set("nowhere", nowhere)
            .threads(y.numel())
            .enqueue()?;
        let op = || self.clone();
        Ok(y.with_op(&[x], op))
    }

    /// For each place the next with the same index, and whether there is one before it.
    fn chains(&self) -> Result<[Tensor; 2]> {
        let (at, m) = (&self.at, self.picked());
        let (total, inner) = (at.numel(), if self.shared { 1 } else { self.inner() });
        let next = Tensor::empty_of(at.gpu(), at.shape(), DType::I32)?;
        let is_later = Tensor::zeros_of(at.gpu(), at.shape(), DType::I32)?;
        launch(at.gpu(), Kernel::new(&shaders::NEXT_EQUAL, "next_equal"))
            .bind_all([("at", at.bind()), ("next", next.bind())])
            .set_all([("total", total), ("m", m), ("inner", inner)])
            .max_iterations(m + 1)
            .threads(total)
            .enqueue()?;
        launch(at.gpu(), Kernel::new(&shaders::MARK_LATER, "mark_later"))
            .bind_all([("next", next.bind()), ("is_later", is_later.bind())])
            .set_all([("total", total), ("m", m), ("inner", inner)])
            .threads(total)
            .enqueue()?;
        Ok([next, is_later])
    }

    /// Adds the gradient for `dy` to `dx`.
    fn add_gradient(&self, dy: &Tensor, dx: &Tensor) -> Result<()> {
        let [next, is_later] = self.chains()?;
        let kernel = Kernel::new(&shaders::GATHER_BACKWARD, "gather_backward");
        self.set(launch(dy.gpu(), kernel).alias("E", dy.dtype().wgsl()), dy.numel())
            .bind_all([("dy", dy.bind()), ("at", self.at.bind()), ("next", next.bind())])
            .bind_all([("is_later", is_later.bind()), ("dx", dx.bind())])
            .max_iterations(self.picked() + 1)
            .threads(dy.numel())
            .enqueue()?;
        Ok(())
    }
}

/// The gradient of a picking as an op: its own gradient is picked again.
struct Unpicked(Picked);

impl Op for Unpicked {
    fn name(&self) -> &'static str {
        self.0.name
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(self.0.forward(dy)?)])
    }

    fn recorded_backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Option<Vec<Option<Tensor>>>> {
        self.backward(&dy.contiguous()?, needed).map(Some)
    }
}

impl Op for Picked {
    fn name(&self) -> &'static str {
        self.name
    }

    fn recorded_backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Option<Vec<Option<Tensor>>>> {
        let dx = self.backward(&dy.detach(), needed)?.remove(0);
        Ok(Some(vec![dx.map(|dx| dx.with_op(&[dy], || Unpicked(self.clone())))]))
    }

    fn backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Vec<Option<Tensor>>> {
        self.backward_into(dy, needed, &[None])
    }

    fn backward_into(&self, dy: &Tensor, _: &[bool], into: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let dx = match into {
            [Some(into)] => {
                // A tensor without elements is bound as some bytes of its buffer, which are another's.
                if !into.is_empty() {
                    dy.gpu().clear(&into.bind())?;
                }
                into.clone()
            }
            _ => Tensor::zeros_of(dy.gpu(), &self.shape, dy.dtype())?,
        };
        // As many places as one invocation may go over.
        let most = usize::try_from(dy.gpu().loop_limit()).unwrap_or(usize::MAX) - 1;
        let m = self.picked();
        for first in (0..m).step_by(most).filter(|_| !dy.is_empty()) {
            let end = m.min(first.saturating_add(most));
            let (axis, along) = (self.axis as isize, if self.shared { 0 } else { self.axis as isize });
            let at = self.at.slice(along, first, end)?.contiguous()?;
            let part = Self { at, ..self.clone() };
            part.add_gradient(&dy.slice(axis, first, end)?.contiguous()?, &dx)?;
        }
        Ok(vec![Some(dx)])
    }
}

impl Tensor {
    /// The elements of `axis` whose numbers `indices` lists, in that order; others of the axis are left out, and one may come
    /// several times. The gradient of an element is the sum over its copies.
    ///
    /// Shape: `indices` `[m]`, i32; the result has m elements along `axis`. An index out of range is never read: it gives NaN, or
    /// the least i32. Counterpart: `torch.index_select`.
    ///
    /// # Errors
    /// [`Error::Shape`] for an axis that does not exist or indices of another rank, [`Error::DType`] for indices that are not
    /// i32, [`Error::Device`].
    pub fn index_select(&self, axis: isize, indices: &Tensor) -> Result<Tensor> {
        const OP: &str = "index_select";
        let axis = checked_axis(OP, self.shape(), axis)?;
        if indices.shape().len() != 1 {
            let message =
                format!("indices {:?} for a tensor {:?}: expected [m]", indices.shape(), self.shape());
            return Err(Error::shape(OP, message));
        }
        self.picked(OP, axis, indices, true)
    }

    /// The element of each line along `axis` that `indices`, of this tensor's rank, names for each place.
    ///
    /// Shape: `indices` i32, as long as this tensor along all other axes; the result has the shape of `indices`. An index out of
    /// range is never read: it gives NaN, or the least i32. Counterpart: `torch.gather`.
    ///
    /// # Errors
    /// [`Error::Shape`] for an axis that does not exist or indices of another shape, [`Error::DType`] for indices that are not
    /// i32, [`Error::Device`].
    pub fn gather(&self, axis: isize, indices: &Tensor) -> Result<Tensor> {
        const OP: &str = "gather";
        let axis = checked_axis(OP, self.shape(), axis)?;
        let (a, b) = (self.shape(), indices.shape());
        let fits = a.len() == b.len() && (0..a.len()).all(|d| d == axis || a[d] == b[d]);
        if !fits {
            let message =
                format!("indices {b:?} for a tensor {a:?}: they may differ along axis {axis} alone");
            return Err(Error::shape(OP, message));
        }
        self.picked(OP, axis, indices, false)
    }

    /// The rows of this table that `indices` names: what an embedding looks up.
    ///
    /// Shape: table `[n, d]` and `indices` of any shape, i32, to that shape and `[d]` behind. An index out of range gives NaN.
    /// Counterpart: `torch.nn.functional.embedding`.
    ///
    /// # Errors
    /// [`Error::Shape`] for a table of another rank, else as [`Tensor::index_select`].
    pub fn embedding(&self, indices: &Tensor) -> Result<Tensor> {
        let &[_, d] = self.shape() else {
            return Err(Error::shape("embedding", format!("a table {:?}: expected [n, d]", self.shape())));
        };
        let rows = self.index_select(0, &indices.reshape(&[indices.numel()])?)?;
        rows.reshape(&[indices.shape(), &[d]].concat())
    }

    fn picked(&self, name: &'static str, axis: usize, indices: &Tensor, shared: bool) -> Result<Tensor> {
        if indices.dtype() != DType::I32 {
            let (shape, dtype) = (indices.shape(), indices.dtype());
            let message = format!("indices {shape:?} of {dtype}: they are i32; convert them with to_dtype");
            return Err(Error::DType { op: name, message });
        }
        if self.dtype() == DType::U8 {
            let wide = self.to_dtype(DType::I32)?.picked(name, axis, indices, shared)?;
            return wide.to_dtype(DType::U8);
        }
        let picked = Picked { name, shape: self.shape().to_vec(), axis, at: indices.contiguous()?, shared };
        picked.forward(&self.contiguous()?)
    }
}
