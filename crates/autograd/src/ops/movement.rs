//! Ops that move elements: reshape shares, permute, slice, expand and concat copy.

use wgrad_device::Launch;
use wgrad_device::shaders::{self, Kernel};

use crate::launch::launch;
use crate::shape::{broadcast, broadcast_strides, merged, numel, strides};
use crate::{Error, Op, Result, Tensor};

/// A part of a tensor or another order of its elements: where element `(i, j, …)` of `dims` lies in it.
struct Strided {
    dims: Vec<usize>,
    strides: Vec<usize>,
    offset: usize,
}

impl Strided {
    /// `shape`-shaped, contiguous copy of what this describes of `x`.
    fn gather(&self, x: &Tensor, shape: &[usize]) -> Result<Tensor> {
        let y = Tensor::empty(x.gpu(), shape)?;
        self.launch(x, &y, Kernel::new(&shaders::STRIDED_GATHER, "strided_gather")).enqueue()?;
        Ok(y)
    }

    /// Writes `x` to where this describes of `y`.
    fn scatter(&self, x: &Tensor, y: &Tensor) -> Result<()> {
        Ok(self.launch(x, y, Kernel::new(&shaders::STRIDED_SCATTER, "strided_scatter")).enqueue()?)
    }

    fn launch<'a>(&self, x: &'a Tensor, y: &Tensor, kernel: Kernel<'static>) -> Launch<'a> {
        let axes = merged(&self.dims, &[&self.strides]);
        let n = numel(&self.dims);
        launch(x.gpu(), kernel)
            .constant("RANK", axes.len())
            .bind_all([("x", x.bind()), ("y", y.bind())])
            .set_all([("n", n), ("offset", self.offset)])
            .max_iterations(axes.len())
            .set_rows("axes", axes)
            .threads(n)
    }

    /// The range `start..end` of `axis` of a tensor of this shape.
    fn slice(shape: &[usize], axis: usize, start: usize, end: usize) -> Self {
        let strides = strides(shape);
        let mut dims = shape.to_vec();
        dims[axis] = end - start;
        Self { dims, offset: start * strides[axis], strides }
    }
}

struct Reshape {
    shape: Vec<usize>,
}

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(dy.with_shape(&self.shape))])
    }
}

struct Permute {
    inverse: Vec<usize>,
}

impl Op for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(dy.permute(&self.inverse)?)])
    }
}

struct Slice {
    shape: Vec<usize>,
    axis: usize,
    start: usize,
    end: usize,
}

impl Op for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let dx = Tensor::zeros(dy.gpu(), &self.shape)?;
        Strided::slice(&self.shape, self.axis, self.start, self.end).scatter(dy, &dx)?;
        Ok(vec![Some(dx)])
    }
}

struct Expand {
    shape: Vec<usize>,
}

impl Op for Expand {
    fn name(&self) -> &'static str {
        "broadcast_to"
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(dy.sum_to(&self.shape)?)])
    }
}

struct Concat {
    axis: usize,
    sizes: Vec<usize>,
}

impl Op for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let mut start = 0;
        let mut gradients = Vec::with_capacity(self.sizes.len());
        for (&size, &needed) in self.sizes.iter().zip(needed) {
            let part = needed.then(|| dy.slice(self.axis, start, start + size));
            gradients.push(part.transpose()?);
            start += size;
        }
        Ok(gradients)
    }
}

impl Tensor {
    /// The same values in another shape of as many elements; nothing is copied.
    ///
    /// # Errors
    /// [`Error::Shape`] if the numbers of elements differ.
    pub fn reshape(&self, shape: &[usize]) -> Result<Tensor> {
        let count = shape.iter().try_fold(1usize, |count, &n| count.checked_mul(n));
        if count != Some(self.numel()) {
            let message = format!("{:?} has {} elements, not those of {shape:?}", self.shape(), self.numel());
            return Err(Error::shape("reshape", message));
        }
        Ok(self.with_shape(shape).with_op(&[self], || Reshape { shape: self.shape().to_vec() }))
    }

    /// All axes from `first` on joined into one: `[n, c, h, w]` with `first` 1 to `[n, c·h·w]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if there is no such axis.
    pub fn flatten(&self, first: usize) -> Result<Tensor> {
        if first >= self.shape().len() {
            return Err(Error::shape("flatten", format!("axis {first} of a tensor {:?}", self.shape())));
        }
        let mut shape = self.shape()[..first].to_vec();
        shape.push(self.shape()[first..].iter().product());
        self.reshape(&shape)
    }

    /// Axes in another order: axis `d` of the result is axis `axes[d]` of this tensor. Copies.
    ///
    /// # Errors
    /// [`Error::Shape`] unless `axes` names each axis once.
    pub fn permute(&self, axes: &[usize]) -> Result<Tensor> {
        let mut inverse = vec![usize::MAX; self.shape().len()];
        for (to, &from) in axes.iter().enumerate() {
            if let Some(slot) = inverse.get_mut(from) {
                *slot = to;
            }
        }
        if axes.len() != inverse.len() || inverse.contains(&usize::MAX) {
            let message = format!("{axes:?} does not name each axis of {:?} once", self.shape());
            return Err(Error::shape("permute", message));
        }
        let own = strides(self.shape());
        let dims: Vec<usize> = axes.iter().map(|&d| self.shape()[d]).collect();
        let from = Strided { strides: axes.iter().map(|&d| own[d]).collect(), dims: dims.clone(), offset: 0 };
        Ok(from.gather(self, &dims)?.with_op(&[self], || Permute { inverse }))
    }

    /// Elements `start..end` along `axis`. Copies.
    ///
    /// # Errors
    /// [`Error::Shape`] for an empty range or one that leaves the tensor.
    pub fn slice(&self, axis: usize, start: usize, end: usize) -> Result<Tensor> {
        if axis >= self.shape().len() || start >= end || end > self.shape()[axis] {
            let message = format!("{start}..{end} along axis {axis} of a tensor {:?}", self.shape());
            return Err(Error::shape("slice", message));
        }
        let part = Strided::slice(self.shape(), axis, start, end);
        let y = part.gather(self, &part.dims)?;
        Ok(y.with_op(&[self], || Slice { shape: self.shape().to_vec(), axis, start, end }))
    }

    /// The tensor repeated to `shape` by NumPy's broadcasting rules. Copies.
    ///
    /// # Errors
    /// [`Error::Shape`] if it does not broadcast to `shape`.
    pub fn broadcast_to(&self, shape: &[usize]) -> Result<Tensor> {
        if broadcast("broadcast_to", self.shape(), shape)? != shape {
            return Err(Error::shape(
                "broadcast_to",
                format!("{:?} does not broadcast to {shape:?}", self.shape()),
            ));
        }
        let from =
            Strided { dims: shape.to_vec(), strides: broadcast_strides(self.shape(), shape), offset: 0 };
        Ok(from.gather(self, shape)?.with_op(&[self], || Expand { shape: self.shape().to_vec() }))
    }
}

/// The tensors one after the other along `axis`; all other axes are equal.
///
/// # Errors
/// [`Error::Shape`] for no tensors, no such axis, or other axes that differ.
pub fn concat(tensors: &[&Tensor], axis: usize) -> Result<Tensor> {
    let Some(first) = tensors.first() else {
        return Err(Error::shape("concat", "no tensors were given"));
    };
    let mut shape = first.shape().to_vec();
    if axis >= shape.len() {
        return Err(Error::shape("concat", format!("axis {axis} of a tensor {shape:?}")));
    }
    let sizes: Vec<usize> = tensors.iter().map(|t| t.shape().get(axis).copied().unwrap_or(0)).collect();
    shape[axis] = sizes.iter().sum();
    for tensor in tensors {
        let fits = tensor.shape().len() == shape.len()
            && tensor.shape().iter().zip(&shape).enumerate().all(|(d, (a, b))| d == axis || a == b);
        if !fits {
            let message =
                format!("{:?} and {:?} differ on another axis than {axis}", first.shape(), tensor.shape());
            return Err(Error::shape("concat", message));
        }
    }
    let y = Tensor::empty(first.gpu(), &shape)?;
    let mut start = 0;
    for (tensor, size) in tensors.iter().zip(&sizes) {
        Strided::slice(&shape, axis, start, start + size).scatter(tensor, &y)?;
        start += size;
    }
    Ok(y.with_op(tensors, || Concat { axis, sizes }))
}
