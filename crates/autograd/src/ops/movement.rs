//! Ops that move elements. Reshape, permute, slice and expand give views, for which nothing is launched; concat copies.

use wgrad_device::shaders::{self, Kernel};

use crate::launch::launch;
use crate::shape::{broadcast, broadcast_strides, checked_axis, merged, numel, reshaped, strides};
use crate::tensor::MAX_ELEMENTS;
use crate::{DType, Error, Op, Result, Tensor};

/// A view: its gradient is the gradient seen the other way round.
struct View {
    name: &'static str,
    /// From the gradient of the view to that of what it is a view of.
    back: Back,
}

enum Back {
    /// To this shape.
    Reshape(Vec<usize>),
    /// The axes in this order.
    Permute(Vec<isize>),
    /// Summed to this shape.
    Sum(Vec<usize>),
    /// Placed in zeros of this shape, from `start` on along `axis`.
    Place(Place),
}

#[derive(Clone)]
struct Place {
    shape: Vec<usize>,
    axis: usize,
    start: usize,
}

impl Op for View {
    fn name(&self) -> &'static str {
        self.name
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let dx = match &self.back {
            Back::Reshape(shape) => dy.reshape(shape)?,
            Back::Permute(axes) => dy.permute(axes)?,
            Back::Sum(shape) => dy.sum_to(shape)?,
            Back::Place(place) => place.placed(dy)?,
        };
        Ok(vec![Some(dx)])
    }

    fn recorded_backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Option<Vec<Option<Tensor>>>> {
        self.backward(dy, needed).map(Some)
    }

    fn accumulate(&self, dy: &Tensor, sum: Option<&Tensor>) -> Result<Option<Tensor>> {
        let Back::Place(place) = &self.back else { return Ok(None) };
        match sum {
            Some(sum) => {
                place.write(&dy.contiguous()?, sum, true)?;
                Ok(Some(sum.clone()))
            }
            None => place.placed(dy).map(Some),
        }
    }

    fn takes_views(&self) -> bool {
        true
    }
}

/// A tensor placed in zeros: the gradient of a slice.
struct Placed {
    place: Place,
    len: usize,
}

impl Op for Placed {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let Place { axis, start, .. } = self.place;
        Ok(vec![Some(dy.slice(axis as isize, start, start + self.len)?)])
    }

    fn recorded_backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Option<Vec<Option<Tensor>>>> {
        self.backward(dy, needed).map(Some)
    }

    fn takes_views(&self) -> bool {
        true
    }
}

impl Place {
    fn placed(&self, x: &Tensor) -> Result<Tensor> {
        let y = Tensor::zeros_of(x.gpu(), &self.shape, x.dtype())?;
        self.write(&x.contiguous()?, &y, false)?;
        Ok(y.with_op(&[x], || Placed { place: self.clone(), len: x.shape()[self.axis] }))
    }

    /// Writes contiguous `x` into its place in `y`, or adds it to what is there.
    fn write(&self, x: &Tensor, y: &Tensor, add: bool) -> Result<()> {
        let by = strides(&self.shape);
        let (offset, axes) = (self.start * by[self.axis], merged(x.shape(), &[&by]));
        launch(x.gpu(), Kernel::new(&shaders::STRIDED_SCATTER, "strided_scatter"))
            .constants([("RANK", axes.len()), ("ADD", usize::from(add))])
            .alias("E", x.dtype().wgsl())
            .bind_all([("x", x.bind()), ("y", y.bind())])
            .set_all([("n", x.numel()), ("offset", offset)])
            .max_iterations(axes.len())
            .set_rows("axes", axes)
            .threads(x.numel())
            .enqueue()?;
        Ok(())
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
            let part = needed.then(|| dy.slice(self.axis as isize, start, start + size));
            gradients.push(part.transpose()?);
            start += size;
        }
        Ok(gradients)
    }

    fn recorded_backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Option<Vec<Option<Tensor>>>> {
        self.backward(dy, needed).map(Some)
    }

    fn takes_views(&self) -> bool {
        true
    }
}

impl Tensor {
    /// The view of this tensor that has this shape and strides, from an element of the view's buffer on.
    fn viewed(
        &self,
        name: &'static str,
        shape: Vec<usize>,
        by: Vec<usize>,
        first: usize,
        back: Back,
    ) -> Tensor {
        self.with_layout(shape, by, first).with_op(&[self], || View { name, back })
    }

    /// The same values in another shape of as many elements: a view, or a copy where a view's strides don't allow one.
    ///
    /// # Errors
    /// [`Error::Shape`] if the numbers of elements differ, [`Error::Device`].
    pub fn reshape(&self, shape: &[usize]) -> Result<Tensor> {
        let count = shape.iter().try_fold(1usize, |count, &n| count.checked_mul(n));
        if count != Some(self.numel()) {
            let message = format!("{:?} has {} elements, not those of {shape:?}", self.shape(), self.numel());
            return Err(Error::shape("reshape", message));
        }
        if shape == self.shape() {
            return Ok(self.clone());
        }
        let by = match self.is_row_major() {
            true => strides(shape),
            false => match reshaped(self.shape(), &self.strides(), shape) {
                Some(by) => by,
                None => return self.contiguous()?.reshape(shape),
            },
        };
        Ok(self.viewed("reshape", shape.to_vec(), by, 0, Back::Reshape(self.shape().to_vec())))
    }

    /// All axes from `first` on joined into one: `[n, c, h, w]` with `first` 1 to `[n, c·h·w]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if there is no such axis, [`Error::Device`].
    pub fn flatten(&self, first: isize) -> Result<Tensor> {
        let first = checked_axis("flatten", self.shape(), first)?;
        let mut shape = self.shape()[..first].to_vec();
        shape.push(numel(&self.shape()[first..]));
        self.reshape(&shape)
    }

    /// Axes in another order: axis `d` of the result is axis `axes[d]` of this tensor, negative ones counted from the end. A
    /// view.
    ///
    /// # Errors
    /// [`Error::Shape`] unless `axes` names each axis once.
    pub fn permute(&self, axes: &[isize]) -> Result<Tensor> {
        let mut inverse = vec![isize::MAX; self.shape().len()];
        let mut order = Vec::with_capacity(axes.len());
        for (to, &axis) in axes.iter().enumerate() {
            let axis = checked_axis("permute", self.shape(), axis)?;
            inverse[axis] = to as isize;
            order.push(axis);
        }
        if axes.len() != inverse.len() || inverse.contains(&isize::MAX) {
            let message = format!("{axes:?} does not name each axis of {:?} once", self.shape());
            return Err(Error::shape("permute", message));
        }
        let own = self.strides();
        let [shape, by] = [self.shape(), &own].map(|of| order.iter().map(|&d| of[d]).collect());
        Ok(self.viewed("permute", shape, by, 0, Back::Permute(inverse)))
    }

    /// Two axes swapped, negative ones counted from the end. A view.
    ///
    /// # Errors
    /// [`Error::Shape`] for an axis that does not exist.
    pub fn transpose(&self, a: isize, b: isize) -> Result<Tensor> {
        let [a, b] =
            [checked_axis("transpose", self.shape(), a)?, checked_axis("transpose", self.shape(), b)?];
        let mut axes: Vec<isize> = (0..self.shape().len() as isize).collect();
        axes.swap(a, b);
        self.permute(&axes)
    }

    /// Elements `start..end` along `axis`, which may be none. A view.
    ///
    /// # Errors
    /// [`Error::Shape`] for an axis that does not exist or a range that leaves the tensor.
    pub fn slice(&self, axis: isize, start: usize, end: usize) -> Result<Tensor> {
        let along = checked_axis("slice", self.shape(), axis)?;
        if start > end || end > self.shape()[along] {
            let message = format!("{start}..{end} along axis {axis} of a tensor {:?}", self.shape());
            return Err(Error::shape("slice", message));
        }
        let (mut shape, by) = (self.shape().to_vec(), self.strides());
        shape[along] = end - start;
        // Without elements there is no first one.
        let first = if start == end { 0 } else { start * by[along] };
        let place = Place { shape: self.shape().to_vec(), axis: along, start };
        Ok(self.viewed("slice", shape, by, first, Back::Place(place)))
    }

    /// `len` elements from `start` on along `axis`: [`Tensor::slice`] in PyTorch's terms.
    ///
    /// # Errors
    /// As [`Tensor::slice`].
    pub fn narrow(&self, axis: isize, start: usize, len: usize) -> Result<Tensor> {
        self.slice(axis, start, start.saturating_add(len))
    }

    /// Parts of these sizes along `axis`, one after the other. Views.
    ///
    /// # Errors
    /// [`Error::Shape`] for an axis that does not exist, or sizes whose sum is not the axis's.
    pub fn split(&self, axis: isize, sizes: &[usize]) -> Result<Vec<Tensor>> {
        let along = checked_axis("split", self.shape(), axis)?;
        let total = sizes.iter().try_fold(0usize, |sum, &n| sum.checked_add(n));
        if total != Some(self.shape()[along]) {
            let message = format!("parts {sizes:?} of axis {axis} of a tensor {:?}", self.shape());
            return Err(Error::shape("split", message));
        }
        let ends = sizes.iter().scan(0, |end, &n| {
            *end += n;
            Some(*end)
        });
        ends.zip(sizes).map(|(end, n)| self.slice(axis, end - n, end)).collect()
    }

    /// Without `axis`, which has one element. A view.
    ///
    /// # Errors
    /// [`Error::Shape`] for an axis that does not exist or has another number of elements.
    pub fn squeeze(&self, axis: isize) -> Result<Tensor> {
        let along = checked_axis("squeeze", self.shape(), axis)?;
        if self.shape()[along] != 1 {
            let message =
                format!("axis {axis} of a tensor {:?} has more or less than one element", self.shape());
            return Err(Error::shape("squeeze", message));
        }
        let mut shape = self.shape().to_vec();
        shape.remove(along);
        self.reshape(&shape)
    }

    /// With an axis of one element before axis `axis`; -1 puts it last. A view.
    ///
    /// # Errors
    /// [`Error::Shape`] for an axis that the result does not have.
    pub fn unsqueeze(&self, axis: isize) -> Result<Tensor> {
        let mut shape = self.shape().to_vec();
        // The axis is one of the result.
        shape.push(1);
        let along = checked_axis("unsqueeze", &shape, axis)?;
        shape.pop();
        shape.insert(along, 1);
        self.reshape(&shape)
    }

    /// The tensor repeated to `shape` by NumPy's broadcasting rules. A view, whose elements share their memory: what is to be
    /// written by a kernel of one's own is made [`contiguous`](Tensor::contiguous) first.
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
        if shape == self.shape() {
            return Ok(self.clone());
        }
        if numel(shape) > MAX_ELEMENTS as usize {
            let message = format!("{shape:?} has more elements than kernels can count, {MAX_ELEMENTS}");
            return Err(Error::shape("broadcast_to", message));
        }
        let by = broadcast_strides(self.shape(), &self.strides(), shape);
        Ok(self.viewed("broadcast_to", shape.to_vec(), by, 0, Back::Sum(self.shape().to_vec())))
    }

    /// The tensors one after the other along a new axis before axis `axis`; all have one shape and type.
    ///
    /// Counterpart: `torch.stack`.
    ///
    /// # Errors
    /// As [`Tensor::unsqueeze`] and [`concat()`].
    pub fn stack(tensors: &[&Tensor], axis: isize) -> Result<Tensor> {
        let rows: Vec<Tensor> = tensors.iter().map(|tensor| tensor.unsqueeze(axis)).collect::<Result<_>>()?;
        concat(&rows.iter().collect::<Vec<_>>(), axis)
    }
}

/// The tensors one after the other along `axis`; all other axes are equal, and so are the types.
///
/// # Errors
/// [`Error::Shape`] for no tensors, no such axis, or other axes that differ; [`Error::DType`] for two types.
pub fn concat(tensors: &[&Tensor], axis: isize) -> Result<Tensor> {
    const OP: &str = "concat";
    let Some(first) = tensors.first() else {
        return Err(Error::shape(OP, "no tensors were given"));
    };
    let mut shape = first.shape().to_vec();
    let axis = checked_axis(OP, &shape, axis)?;
    let sizes: Vec<usize> = tensors.iter().map(|t| t.shape().get(axis).copied().unwrap_or(0)).collect();
    shape[axis] = sizes.iter().fold(0, |sum: usize, &n| sum.saturating_add(n));
    for tensor in tensors {
        let fits = tensor.shape().len() == shape.len()
            && tensor.shape().iter().zip(&shape).enumerate().all(|(d, (a, b))| d == axis || a == b);
        let [a, b] = [first, tensor].map(|tensor| (tensor.shape(), tensor.dtype()));
        if !fits {
            return Err(Error::shape(
                OP,
                format!("{:?} and {:?} differ on another axis than {axis}", a.0, b.0),
            ));
        }
        if a.1 != b.1 {
            let message = format!("{:?} of {} and {:?} of {}: convert one with to_dtype", a.0, a.1, b.0, b.1);
            return Err(Error::DType { op: OP, message });
        }
    }
    if first.dtype() == DType::U8 {
        // Four bytes share a word, and a word has one writer.
        let wide: Vec<Tensor> = tensors.iter().map(|t| t.to_dtype(DType::I32)).collect::<Result<_>>()?;
        return concat(&wide.iter().collect::<Vec<_>>(), axis as isize)?.to_dtype(DType::U8);
    }
    let y = Tensor::empty_of(first.gpu(), &shape, first.dtype())?;
    let mut start = 0;
    for (tensor, size) in tensors.iter().zip(&sizes) {
        Place { shape: shape.clone(), axis, start }.write(&tensor.contiguous()?, &y, false)?;
        start += size;
    }
    Ok(y.with_op(tensors, || Concat { axis, sizes }))
}
