//! Reductions over axes: sum, mean, max, argmax.

use wgrad_device::shaders::{self, File, Kernel};

use crate::launch::launch;
use crate::shape::{checked_axes, numel};
use crate::{DType, Error, Op, Result, Tensor};

/// Elements that one invocation reduces at most in one stage.
const CHUNK: usize = 1024;

/// Results that keep a device busy without splitting the axis.
const ENOUGH: usize = 1024;

/// `x` seen as `[outer, n, inner]`, reduced over the middle axis by what `combine` declares, and scaled: `[outer, inner]`.
fn reduce_middle(
    x: &Tensor,
    combine: &'static File,
    [outer, n, inner]: [usize; 3],
    scale: f32,
) -> Result<Tensor> {
    // Few results of a long axis are made in stages, whose last one scales.
    let split = if outer * inner >= ENOUGH { n.div_ceil(16 * CHUNK) } else { n.div_ceil(256) };
    let chunk = n.div_ceil(split).next_multiple_of(4);
    let chunks = n.div_ceil(chunk);
    let y = Tensor::empty(x.gpu(), &[outer * chunks * inner])?;
    let scale_now = if chunks == 1 { scale } else { 1.0 };
    let launch = if inner == 1 && n.is_multiple_of(4) {
        launch(x.gpu(), Kernel::new(&shaders::REDUCE_ROWS, "reduce_rows").with(combine))
            .bind("x", x.bind_padded())
            .set_all([("n4", n / 4), ("chunk4", chunk / 4)])
            .max_iterations(chunk / 4 + 1)
    } else {
        launch(x.gpu(), Kernel::new(&shaders::REDUCE, "reduce").with(combine))
            .bind("x", x.bind())
            .set_all([("n", n), ("inner", inner), ("chunk", chunk)])
            .max_iterations(chunk + 1)
    };
    launch
        .bind("y", y.bind())
        .set_all([("chunks", chunks), ("total", y.numel())])
        .set_f32("scale", scale_now)
        .threads(y.numel())
        .enqueue()?;
    if chunks == 1 { Ok(y) } else { reduce_middle(&y, combine, [outer, chunks, inner], scale) }
}

/// Reduces over sorted `axes`, at least one, one run of neighbouring axes after the other; the last scales.
fn reduce_axes(x: &Tensor, combine: &'static File, axes: &[usize], scale: f32) -> Result<Tensor> {
    let mut shape = x.shape().to_vec();
    let mut y = x.detach();
    let mut end = axes.len();
    while end > 0 {
        let mut start = end - 1;
        // Axes of one element between two runs join them.
        while start > 0 && (axes[start - 1] + 1..axes[start]).all(|d| shape[d] == 1) {
            start -= 1;
        }
        let (first, last) = (axes[start], axes[end - 1]);
        let run = [numel(&shape[..first]), numel(&shape[first..=last]), numel(&shape[last + 1..])];
        y = reduce_middle(&y, combine, run, if start == 0 { scale } else { 1.0 })?;
        shape[first..=last].fill(1);
        end = start;
    }
    Ok(y.with_shape(&shape))
}

fn without(shape: &[usize], axes: &[usize]) -> Vec<usize> {
    (0..shape.len()).filter(|d| !axes.contains(d)).map(|d| shape[d]).collect()
}

struct SumOp {
    shape: Vec<usize>,
    kept: Vec<usize>,
    scale: f32,
}

impl Op for SumOp {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let dy = if self.scale == 1.0 { dy.clone() } else { dy.mul_add_scalar(self.scale, 0.0)? };
        Ok(vec![Some(dy.with_shape(&self.kept).broadcast_to(&self.shape)?)])
    }
}

struct MaxOp {
    x: Tensor,
    /// The maxima with the reduced axes kept as 1.
    y: Tensor,
    axes: Vec<usize>,
}

impl Op for MaxOp {
    fn name(&self) -> &'static str {
        "max"
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let is_max = self.x.equal(&self.y)?;
        let count = reduce_axes(&is_max, &shaders::REDUCE_SUM, &self.axes, 1.0)?;
        let share = dy.with_shape(self.y.shape()).div(&count)?;
        Ok(vec![Some(is_max.mul(&share)?)])
    }
}

impl Tensor {
    fn summed(&self, name: &'static str, axes: &[isize], mean: bool) -> Result<Tensor> {
        let axes = checked_axes(name, self.shape(), axes)?;
        if axes.is_empty() {
            return Ok(self.clone());
        }
        self.in_f32(name, |x| x.summed_f32(axes, mean))
    }

    fn summed_f32(&self, axes: Vec<usize>, mean: bool) -> Result<Tensor> {
        let count: usize = axes.iter().map(|&d| self.shape()[d]).product();
        let scale = if mean { 1.0 / count as f32 } else { 1.0 };
        let kept = reduce_axes(self, &shaders::REDUCE_SUM, &axes, scale)?;
        let y = kept.with_shape(&without(self.shape(), &axes));
        let (shape, kept) = (self.shape().to_vec(), kept.shape().to_vec());
        Ok(y.with_op(&[self], || SumOp { shape, kept, scale }))
    }

    /// Sum over `axes`, which vanish. An empty list names none, so a computed one may be empty: the tensor stays as it
    /// is. (PyTorch takes an empty list for all axes; [`Tensor::sum_all`] says that.)
    ///
    /// # Errors
    /// [`Error::Shape`] for an axis that does not exist or is named twice, [`Error::Device`].
    pub fn sum(&self, axes: &[isize]) -> Result<Tensor> {
        self.summed("sum", axes, false)
    }

    /// Mean over `axes`, which vanish; over none if the list is empty, as [`Tensor::sum`].
    ///
    /// # Errors
    /// As [`Tensor::sum`].
    pub fn mean(&self, axes: &[isize]) -> Result<Tensor> {
        self.summed("mean", axes, true)
    }

    /// Maximum over `axes`, which vanish; over none if the list is empty, as [`Tensor::sum`]. Equal maxima share the
    /// gradient, and a NaN among the elements makes the maximum NaN, as in PyTorch's `amax`.
    ///
    /// # Errors
    /// As [`Tensor::sum`].
    pub fn max(&self, axes: &[isize]) -> Result<Tensor> {
        let axes = checked_axes("max", self.shape(), axes)?;
        if axes.is_empty() {
            return Ok(self.clone());
        }
        self.in_f32("max", |x| {
            let kept = reduce_axes(x, &shaders::REDUCE_MAX, &axes, 1.0)?;
            let y = kept.with_shape(&without(x.shape(), &axes));
            Ok(y.with_op(&[x], || MaxOp { x: x.detach(), y: kept, axes }))
        })
    }

    /// Sum of all elements, a scalar.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn sum_all(&self) -> Result<Tensor> {
        self.sum(&self.all_axes())
    }

    /// Mean of all elements, a scalar.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn mean_all(&self) -> Result<Tensor> {
        self.mean(&self.all_axes())
    }

    /// Maximum of all elements, a scalar. Equal maxima share the gradient.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn max_all(&self) -> Result<Tensor> {
        self.max(&self.all_axes())
    }

    fn all_axes(&self) -> Vec<isize> {
        (0..self.shape().len() as isize).collect()
    }

    /// Index of the first maximum along `axis`, which vanishes; of the first NaN where there is one, as in PyTorch. Has no
    /// gradient.
    ///
    /// # Errors
    /// [`Error::Shape`] for an axis that does not exist, or that is longer than 65,535 on an adapter that limits loops
    /// ([`Gpu::loop_limit`](wgrad_device::Gpu::loop_limit)); [`Error::Device`].
    pub fn argmax(&self, axis: isize) -> Result<Tensor> {
        let axes = checked_axes("argmax", self.shape(), &[axis])?;
        let axis = axes[0];
        let n = self.shape()[axis];
        // One loop from the second element on, whose last check counts.
        let limit = self.gpu().loop_limit();
        if n as u64 > limit {
            let message = format!(
                "axis {axis} of {:?}; this adapter's kernel goes over up to {limit} elements",
                self.shape()
            );
            return Err(Error::shape("argmax", message));
        }
        let inner = numel(&self.shape()[axis + 1..]);
        let y = Tensor::empty_of(self.gpu(), &without(self.shape(), &axes), DType::I32)?;
        let total = self.numel() / n;
        launch(self.gpu(), Kernel::new(&shaders::ARGMAX, "argmax"))
            .bind_all([("x", self.as_f32("argmax")?.bind()), ("y", y.bind())])
            .set_all([("n", n), ("inner", inner), ("total", total)])
            .max_iterations(n)
            .threads(total)
            .enqueue()?;
        Ok(y)
    }
}
