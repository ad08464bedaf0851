//! Reductions whose gradients look at their input and output: variance, product, norm, maxima and minima.

use super::reduce::{LOGSUMEXP, MAX, MIN, NORM, PROD, Reduction, SUM, VAR, without};
use crate::graph::{no_grad, saved_output};
use crate::shape::checked_axes;
use crate::{DType, Op, Result, Tensor};

/// The gradient of a reduction's input x by its output y and the output's gradient, both with the reduced axes kept as 1, and
/// its scalar: made of ops.
type Gradient = fn(x: &Tensor, y: &Tensor, dy: &Tensor, axes: &[usize], scalar: f32) -> Result<Tensor>;

/// A reduction that saves its input and output.
struct Saved {
    op: &'static Reduction,
    x: Tensor,
    y: Tensor,
    axes: Vec<usize>,
    scalar: f32,
    gradient: Gradient,
}

impl Saved {
    fn input_grad(&self, y: &Tensor, dy: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let mut kept = self.x.shape().to_vec();
        self.axes.iter().for_each(|&d| kept[d] = 1);
        let dx = (self.gradient)(&self.x, &y.reshape(&kept)?, &dy.reshape(&kept)?, &self.axes, self.scalar)?;
        Ok(vec![Some(dx)])
    }
}

impl Op for Saved {
    fn name(&self) -> &'static str {
        self.op.name
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        self.input_grad(&self.y, dy)
    }

    fn recorded_backward(&self, dy: &Tensor, _: &[bool]) -> Result<Option<Vec<Option<Tensor>>>> {
        if self.op.name == "prod" {
            // Where an element is 0, its gradient has a derivative by others that this way of finding it has not.
            return Ok(None);
        }
        self.input_grad(&saved_output(&self.y), dy).map(Some)
    }

    fn takes_views(&self) -> bool {
        true
    }
}

/// `x` with 1 in place of 0, where a quotient by it is multiplied by 0.
fn or_one(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let zero = Tensor::zeros_of(x.gpu(), &[], x.dtype())?;
    let is_zero = x.equal(&zero)?;
    Ok((x.add(&is_zero)?, is_zero))
}

/// Equal extremes share the gradient. They are counted in f32: f16 ends at 65,504.
fn extreme_gradient(x: &Tensor, y: &Tensor, dy: &Tensor, axes: &[usize], _: f32) -> Result<Tensor> {
    let share = no_grad(|| {
        let is_extreme = x.equal(y)?.to_dtype(DType::F32)?;
        is_extreme.div(&SUM.apply(&is_extreme, axes, 1.0, None)?)?.to_dtype(x.dtype())
    })?;
    dy.mul(&share)
}

/// The product of all others: the product of what is not 0, over the element, for those that see no 0 but themselves.
fn prod_gradient(x: &Tensor, _: &Tensor, dy: &Tensor, axes: &[usize], _: f32) -> Result<Tensor> {
    let (safe, is_zero) = or_one(x)?;
    let zeros = SUM.apply(&is_zero, axes, 1.0, None)?;
    let product = PROD.apply(&safe, axes, 0.0, None)?;
    product.div(&safe)?.mul(&zeros.equal(&is_zero)?)?.mul(dy)
}

/// `dy · x / y`, and 0 where y is 0.
fn norm_gradient(x: &Tensor, y: &Tensor, dy: &Tensor, _: &[usize], _: f32) -> Result<Tensor> {
    x.mul(&dy.div(&or_one(y)?.0)?)
}

fn var_gradient(x: &Tensor, _: &Tensor, dy: &Tensor, axes: &[usize], scalar: f32) -> Result<Tensor> {
    let axes: Vec<isize> = axes.iter().map(|&d| d as isize).collect();
    let centred = x.sub(&x.mean(&axes)?.reshape(dy.shape())?)?;
    centred.mul(&dy.mul_add_scalar(2.0 * scalar, 0.0)?)
}

fn logsumexp_gradient(x: &Tensor, y: &Tensor, dy: &Tensor, _: &[usize], _: f32) -> Result<Tensor> {
    x.sub(y)?.exp()?.mul(dy)
}

impl Tensor {
    fn reduced(&self, op: &'static Reduction, axes: &[isize], gradient: Gradient) -> Result<Tensor> {
        let axes = checked_axes(op.name, self.shape(), axes)?;
        self.reduced_by(op, axes, 0.0, gradient)
    }

    fn reduced_by(
        &self,
        op: &'static Reduction,
        axes: Vec<usize>,
        scalar: f32,
        gradient: Gradient,
    ) -> Result<Tensor> {
        let y = op.apply(self, &axes, scalar, None)?.with_shape(&without(self.shape(), &axes));
        let saved = y.detach();
        Ok(y.with_op(&[self], || Saved { op, x: self.clone(), y: saved, axes, scalar, gradient }))
    }

    /// Variance over `axes`, which vanish: the mean squared difference from the mean, with the number of elements less
    /// `correction` as divisor, which is 1 for an estimate from a sample. NaN where nothing is left to divide by.
    ///
    /// Counterpart: `torch.var(x, axes, correction=…)`.
    ///
    /// # Errors
    /// As [`Tensor::mean`].
    pub fn var(&self, axes: &[isize], correction: usize) -> Result<Tensor> {
        let axes = checked_axes(VAR.name, self.shape(), axes)?;
        let count: usize = axes.iter().map(|&d| self.shape()[d]).product();
        // PyTorch's quotient with 0 is NaN for one element, and infinite for several.
        let scale = 1.0 / count.saturating_sub(correction) as f32;
        self.reduced_by(&VAR, axes, scale, var_gradient)
    }

    /// Standard deviation over `axes`, which vanish: the root of [`Tensor::var`], with a gradient of 0 where it is 0.
    ///
    /// Counterpart: `torch.std(x, axes, correction=…)`.
    ///
    /// # Errors
    /// As [`Tensor::var`].
    pub fn std(&self, axes: &[isize], correction: usize) -> Result<Tensor> {
        let var = self.var(axes, correction)?;
        // A root's slope at 0 is infinite; the root of 1, less 1, has one.
        let (safe, is_zero) = or_one(&var)?;
        safe.sqrt()?.sub(&is_zero)
    }

    /// Product over `axes`, which vanish; of no elements it is 1. The gradient is exact where elements are 0. Products of i32
    /// wrap around.
    ///
    /// # Errors
    /// As [`Tensor::sum`].
    pub fn prod(&self, axes: &[isize]) -> Result<Tensor> {
        if axes.is_empty() { Ok(self.clone()) } else { self.reduced(&PROD, axes, prod_gradient) }
    }

    /// Euclidean norm over `axes`, which vanish: `√Σ x²`, with a gradient of 0 where it is 0.
    ///
    /// Counterpart: `torch.linalg.vector_norm(x, dim=axes)`.
    ///
    /// # Errors
    /// As [`Tensor::mean`].
    pub fn norm(&self, axes: &[isize]) -> Result<Tensor> {
        self.reduced(&NORM, axes, norm_gradient)
    }

    /// `ln Σ e^x` over `axes`, which vanish, without overflow; of no elements it is -inf.
    ///
    /// # Errors
    /// As [`Tensor::mean`].
    pub fn logsumexp(&self, axes: &[isize]) -> Result<Tensor> {
        if axes.is_empty() { Ok(self.clone()) } else { self.reduced(&LOGSUMEXP, axes, logsumexp_gradient) }
    }

    /// Maximum over `axes`, which vanish; over none if the list is empty, as [`Tensor::sum`]. Equal maxima share the
    /// gradient, and a NaN among the elements makes the maximum NaN, as in PyTorch's `amax`.
    ///
    /// # Errors
    /// As [`Tensor::sum`], and [`Error::Shape`](crate::Error::Shape) where there are no elements to choose from.
    pub fn max(&self, axes: &[isize]) -> Result<Tensor> {
        if axes.is_empty() { Ok(self.clone()) } else { self.reduced(&MAX, axes, extreme_gradient) }
    }

    /// Minimum over `axes`, as [`Tensor::max`]: PyTorch's `amin`.
    ///
    /// # Errors
    /// As [`Tensor::max`].
    pub fn min(&self, axes: &[isize]) -> Result<Tensor> {
        if axes.is_empty() { Ok(self.clone()) } else { self.reduced(&MIN, axes, extreme_gradient) }
    }
}
