//! Reductions over axes: sum, mean, variance, product, norm, maxima and minima. Each is some lines of WGSL in `shaders/reduce/`,
//! an entry of the table and a method. They read views as they lie.

use wgrad_device::shaders::{self, File};

use super::reduction::{Layout, Rows};
use crate::graph::{no_grad, saved_output};
use crate::shape::{checked_axes, merged, numel};
use crate::{DType, Error, Op, Result, Tensor};

/// A reduction of one tensor.
pub(crate) struct Reduction {
    name: &'static str,
    /// Declares S, empty, map, combine and finish.
    file: &'static File,
    /// Declares the order of floats and of integers, for those that choose a winner.
    orders: Option<[&'static File; 2]>,
    /// Words of S.
    state: usize,
    /// Whether it is one of integers too.
    integers: bool,
    /// The result over no elements; `None` if there is no such.
    nothing: Option<f32>,
}

macro_rules! table {
    ($($ident:ident = $name:literal $file:ident $orders:expr, $state:literal $integers:literal $nothing:expr;)*) => {
        $(pub(crate) static $ident: Reduction = Reduction {
            name: $name,
            file: &shaders::$file,
            orders: $orders,
            state: $state,
            integers: $integers,
            nothing: $nothing,
        };)*
    };
}

const LARGER: Option<[&File; 2]> = Some([&shaders::ORDER_LARGER_F32, &shaders::ORDER_LARGER_I32]);
const SMALLER: Option<[&File; 2]> = Some([&shaders::ORDER_SMALLER_F32, &shaders::ORDER_SMALLER_I32]);

table! {
    SUM = "sum" REDUCE_SUM None, 1 true Some(0.0);
    MEAN = "mean" REDUCE_SUM None, 1 false Some(f32::NAN);
    PROD = "prod" REDUCE_PROD None, 1 true Some(1.0);
    NORM = "norm" REDUCE_NORM None, 1 false Some(0.0);
    VAR = "var" REDUCE_VAR None, 4 false Some(f32::NAN);
    LOGSUMEXP = "logsumexp" REDUCE_LOGSUMEXP None, 2 false Some(f32::NEG_INFINITY);
    MAX = "max" REDUCE_EXTREME LARGER, 1 true None;
    MIN = "min" REDUCE_EXTREME SMALLER, 1 true None;
    ARGMAX = "argmax" REDUCE_ARG_EXTREME LARGER, 2 true None;
    ARGMIN = "argmin" REDUCE_ARG_EXTREME SMALLER, 2 true None;
}

impl Reduction {
    /// The reduction of `x` over sorted `axes`, which are kept as 1, or in `into`, a contiguous tensor of as many elements. `a` is
    /// a number of the op.
    fn apply(&self, x: &Tensor, axes: &[usize], a: f32, into: Option<&Tensor>) -> Result<Tensor> {
        let (shape, dtype) = (x.shape(), x.dtype());
        if !dtype.is_float() && !(self.integers && dtype == DType::I32) {
            return Err(x.no_floats(self.name));
        }
        let kept_shape: Vec<usize> =
            (0..shape.len()).map(|d| if axes.contains(&d) { 1 } else { shape[d] }).collect();
        let dtype = if self.name.starts_with("arg") { DType::I32 } else { dtype };
        let y = match into {
            Some(into) => into.with_shape(&kept_shape),
            None => Tensor::empty_of(x.gpu(), &kept_shape, dtype)?,
        };
        if !x.is_empty() {
            self.launch(x, axes, a, &y)?;
        } else if !y.is_empty() {
            let Some(nothing) = self.nothing else {
                let message = format!("a tensor {shape:?} over axes {axes:?}: of no elements there is none");
                return Err(Error::shape(self.name, message));
            };
            Tensor::full(x.gpu(), &kept_shape, nothing)?.to_dtype(dtype)?.copy_into(&y)?;
        }
        Ok(y)
    }

    fn launch(&self, x: &Tensor, axes: &[usize], a: f32, y: &Tensor) -> Result<()> {
        let of = |of: &[usize], reduced| -> Vec<usize> {
            (0..of.len()).filter(|d| axes.contains(d) == reduced).map(|d| of[d]).collect()
        };
        let at = x.strided();
        let layout = |reduced| merged(&of(x.shape(), reduced), &[&of(&at.strides, reduced)]);
        let (kept, mut reduced, mut offset) = (layout(false), layout(true), at.offset);
        let length = numel(&of(x.shape(), true));
        // Four neighbours along the row at a time, wherever that is how they lie.
        let all = || kept.iter().chain(&reduced[1..]).map(|[_, stride, ..]| *stride).chain([offset]);
        let quads =
            reduced[0][1] == 1 && reduced[0][0].is_multiple_of(4) && all().all(|n| n.is_multiple_of(4));
        let mut kept = kept;
        if quads {
            kept.iter_mut().chain(&mut reduced[1..]).for_each(|axis| axis[1] /= 4);
            reduced[0][0] /= 4;
            offset /= 4;
        }
        let computed = x.dtype().computed();
        let [of_floats, of_integers] = self.orders.unwrap_or([&shaders::REDUCE_VALUES; 2]);
        let order = if x.dtype().is_float() { of_floats } else { of_integers };
        let each = if quads { &shaders::EACH_4 } else { &shaders::EACH_1 };
        let mut files = vec![self.file, &shaders::REDUCE_VALUES, each];
        files.extend(self.orders.map(|_| order));
        let [unit, value] = match (quads, computed) {
            (true, "f32") => [x.dtype().wgsl4(), "vec4<f32>"],
            (true, _) => [x.dtype().wgsl4(), "vec4<i32>"],
            (false, _) => [x.dtype().wgsl(), computed],
        };
        let aliases = vec![("X", unit), ("V", value), ("C", computed), ("Y", y.dtype().wgsl())];
        let n = if quads { length / 4 } else { length };
        let rows =
            Rows { gpu: x.gpu(), files, aliases, constants: vec![], rows: y.numel(), n, length, a, b: 0 };
        rows.reduce(Layout { offset, kept, reduced }, self.state, &[("x", at.view)], &[("y", y.bind())])
    }
}

pub(crate) fn without(shape: &[usize], axes: &[usize]) -> Vec<usize> {
    (0..shape.len()).filter(|d| !axes.contains(d)).map(|d| shape[d]).collect()
}

/// A sum or a mean.
struct Sum {
    name: &'static str,
    shape: Vec<usize>,
    kept: Vec<usize>,
    scale: f32,
}

impl Op for Sum {
    fn name(&self) -> &'static str {
        self.name
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let dy = if self.scale == 1.0 { dy.clone() } else { dy.mul_add_scalar(self.scale, 0.0)? };
        Ok(vec![Some(dy.reshape(&self.kept)?.broadcast_to(&self.shape)?)])
    }

    fn recorded_backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Option<Vec<Option<Tensor>>>> {
        self.backward(dy, needed).map(Some)
    }

    fn takes_views(&self) -> bool {
        true
    }
}

/// The gradient of a reduction's input x by its output y and the output's gradient, both with the reduced axes kept as 1, and
/// its number a: made of ops.
type Gradient = fn(x: &Tensor, y: &Tensor, dy: &Tensor, axes: &[usize], a: f32) -> Result<Tensor>;

/// A reduction that saves its input and output.
struct Saved {
    op: &'static Reduction,
    x: Tensor,
    y: Tensor,
    axes: Vec<usize>,
    a: f32,
    gradient: Gradient,
}

impl Saved {
    fn input_grad(&self, y: &Tensor, dy: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let mut kept = self.x.shape().to_vec();
        self.axes.iter().for_each(|&d| kept[d] = 1);
        let dx = (self.gradient)(&self.x, &y.reshape(&kept)?, &dy.reshape(&kept)?, &self.axes, self.a)?;
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

/// Equal extremes share the gradient.
fn extreme_gradient(x: &Tensor, y: &Tensor, dy: &Tensor, axes: &[usize], _: f32) -> Result<Tensor> {
    let share = no_grad(|| {
        let is_extreme = x.equal(y)?;
        is_extreme.div(&SUM.apply(&is_extreme, axes, 1.0, None)?)
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

fn var_gradient(x: &Tensor, _: &Tensor, dy: &Tensor, axes: &[usize], a: f32) -> Result<Tensor> {
    let axes: Vec<isize> = axes.iter().map(|&d| d as isize).collect();
    let centred = x.sub(&x.mean(&axes)?.reshape(dy.shape())?)?;
    centred.mul(&dy.mul_add_scalar(2.0 * a, 0.0)?)
}

fn logsumexp_gradient(x: &Tensor, y: &Tensor, dy: &Tensor, _: &[usize], _: f32) -> Result<Tensor> {
    x.sub(y)?.exp()?.mul(dy)
}

impl Tensor {
    /// The sum over `axes`, which vanish, written into `into` where that is given, contiguous and of the sum's shape.
    pub(crate) fn sum_into(&self, axes: &[isize], into: Option<&Tensor>) -> Result<Tensor> {
        let axes = checked_axes(SUM.name, self.shape(), axes)?;
        self.summed(&SUM, axes, 1.0, into)
    }

    fn summed(
        &self,
        op: &'static Reduction,
        axes: Vec<usize>,
        scale: f32,
        into: Option<&Tensor>,
    ) -> Result<Tensor> {
        if axes.is_empty() && into.is_none() {
            return Ok(self.clone());
        }
        let kept = op.apply(self, &axes, scale, into)?;
        let y = kept.with_shape(&without(self.shape(), &axes));
        let (shape, kept) = (self.shape().to_vec(), kept.shape().to_vec());
        Ok(y.with_op(&[self], || Sum { name: op.name, shape, kept, scale }))
    }

    fn reduced(&self, op: &'static Reduction, axes: &[isize], gradient: Gradient) -> Result<Tensor> {
        let axes = checked_axes(op.name, self.shape(), axes)?;
        self.reduced_by(op, axes, 0.0, gradient)
    }

    fn reduced_by(
        &self,
        op: &'static Reduction,
        axes: Vec<usize>,
        a: f32,
        gradient: Gradient,
    ) -> Result<Tensor> {
        let y = op.apply(self, &axes, a, None)?.with_shape(&without(self.shape(), &axes));
        let saved = y.detach();
        Ok(y.with_op(&[self], || Saved { op, x: self.clone(), y: saved, axes, a, gradient }))
    }

    /// A reduction's result with axes of one element where `axes` vanished, as they were numbered before:
    /// `x.sum(&[1])?.keepdim(&[1])?` is PyTorch's `x.sum(1, keepdim=True)`, and broadcasts with `x`. A view.
    ///
    /// # Errors
    /// [`Error::Shape`] for an axis that does not exist or is named twice, [`Error::Device`].
    pub fn keepdim(&self, axes: &[isize]) -> Result<Tensor> {
        let mut shape = vec![1; self.shape().len() + axes.len()];
        let axes = checked_axes("keepdim", &shape, axes)?;
        let kept = (0..shape.len()).filter(|d| !axes.contains(d)).collect::<Vec<_>>();
        kept.iter().zip(self.shape()).for_each(|(&d, &n)| shape[d] = n);
        self.reshape(&shape)
    }

    /// Sum over `axes`, which vanish. An empty list names none, so a computed one may be empty: the tensor stays as it
    /// is. (PyTorch takes an empty list for all axes; [`Tensor::sum_all`] says that.) Sums of i32 are i32, and wrap around,
    /// where PyTorch's are i64.
    ///
    /// # Errors
    /// [`Error::Shape`] for an axis that does not exist or is named twice, [`Error::DType`] for bytes, [`Error::Device`].
    pub fn sum(&self, axes: &[isize]) -> Result<Tensor> {
        self.sum_into(axes, None)
    }

    /// Mean over `axes`, which vanish; over none if the list is empty, as [`Tensor::sum`]. The mean of no elements is NaN.
    ///
    /// # Errors
    /// As [`Tensor::sum`], and [`Error::DType`] for integers.
    pub fn mean(&self, axes: &[isize]) -> Result<Tensor> {
        let axes = checked_axes(MEAN.name, self.shape(), axes)?;
        let count: usize = axes.iter().map(|&d| self.shape()[d]).product();
        self.summed(&MEAN, axes, 1.0 / count as f32, None)
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
        let a = 1.0 / count.saturating_sub(correction) as f32;
        self.reduced_by(&VAR, axes, a, var_gradient)
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
    /// As [`Tensor::sum`], and [`Error::Shape`] where there are no elements to choose from.
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

    /// Sum of all elements, a scalar.
    ///
    /// # Errors
    /// [`Error::DType`] for bytes, [`Error::Device`].
    pub fn sum_all(&self) -> Result<Tensor> {
        self.sum(&self.all_axes())
    }

    /// Mean of all elements, a scalar.
    ///
    /// # Errors
    /// [`Error::DType`] for integers, [`Error::Device`].
    pub fn mean_all(&self) -> Result<Tensor> {
        self.mean(&self.all_axes())
    }

    /// Maximum of all elements, a scalar. Equal maxima share the gradient.
    ///
    /// # Errors
    /// [`Error::Shape`] where there are none, [`Error::DType`] for bytes, [`Error::Device`].
    pub fn max_all(&self) -> Result<Tensor> {
        self.max(&self.all_axes())
    }

    /// Minimum of all elements, a scalar. Equal minima share the gradient.
    ///
    /// # Errors
    /// As [`Tensor::max_all`].
    pub fn min_all(&self) -> Result<Tensor> {
        self.min(&self.all_axes())
    }

    pub(crate) fn all_axes(&self) -> Vec<isize> {
        (0..self.shape().len() as isize).collect()
    }

    /// Index of the first maximum along `axis`, which vanishes, as i32; of the first NaN where there is one, as in PyTorch. Has
    /// no gradient.
    ///
    /// # Errors
    /// [`Error::Shape`] for an axis that does not exist or has no elements, [`Error::DType`] for bytes, [`Error::Device`].
    pub fn argmax(&self, axis: isize) -> Result<Tensor> {
        self.winner(&ARGMAX, axis)
    }

    /// Index of the first minimum along `axis`, as [`Tensor::argmax`].
    ///
    /// # Errors
    /// As [`Tensor::argmax`].
    pub fn argmin(&self, axis: isize) -> Result<Tensor> {
        self.winner(&ARGMIN, axis)
    }

    fn winner(&self, op: &'static Reduction, axis: isize) -> Result<Tensor> {
        let axes = checked_axes(op.name, self.shape(), &[axis])?;
        Ok(op.apply(self, &axes, 0.0, None)?.with_shape(&without(self.shape(), &axes)))
    }
}
