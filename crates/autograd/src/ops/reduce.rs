//! Reductions over axes. Each is some lines of WGSL in `shaders/reduce/`, an entry of the table here and a method: here of sums
//! and indices, in `reduced.rs` of those whose gradient looks at input and output. They read views as they lie.

use wgrad_device::shaders::{self, File};

use super::reduction::{Layout, Rows, Words};
use crate::shape::{checked_axes, merged, numel};
use crate::{DType, Error, Op, Result, Tensor};

/// A reduction of one tensor.
pub(super) struct Reduction {
    pub(super) name: &'static str,
    /// Declares S, empty, map, combine and finish.
    file: &'static File,
    /// Declares the order of floats and of integers, for those that choose a winner.
    orders: Option<[&'static File; 2]>,
    /// Words of S.
    state_words: usize,
    /// Whether it takes i32 as well as floats.
    integers: bool,
    /// Whether the result is the index of an element, i32.
    gives_index: bool,
    /// The result over no elements; `None` if there is no such.
    nothing: Option<f32>,
}

macro_rules! table {
    ($($ident:ident = $name:literal $file:ident $orders:expr, $state:literal $integers:literal $index:literal $nothing:expr;)*) => {
        $(pub(super) static $ident: Reduction = Reduction {
            name: $name,
            file: &shaders::$file,
            orders: $orders,
            state_words: $state,
            integers: $integers,
            gives_index: $index,
            nothing: $nothing,
        };)*
    };
}

const LARGER: Option<[&File; 2]> = Some([&shaders::ORDER_LARGER_F32, &shaders::ORDER_LARGER_I32]);
const SMALLER: Option<[&File; 2]> = Some([&shaders::ORDER_SMALLER_F32, &shaders::ORDER_SMALLER_I32]);

// The columns: the name; the file; the orders; the words of S; whether it takes i32; whether it gives an index; the result over
// no elements.
table! {
    SUM = "sum" REDUCE_SUM None, 1 true false Some(0.0);
    MEAN = "mean" REDUCE_SUM None, 1 false false Some(f32::NAN);
    PROD = "prod" REDUCE_PROD None, 1 true false Some(1.0);
    NORM = "norm" REDUCE_NORM None, 1 false false Some(0.0);
    VAR = "var" REDUCE_VAR None, 4 false false Some(f32::NAN);
    LOGSUMEXP = "logsumexp" REDUCE_LOGSUMEXP None, 2 false false Some(f32::NEG_INFINITY);
    MAX = "max" REDUCE_EXTREME LARGER, 1 true false None;
    MIN = "min" REDUCE_EXTREME SMALLER, 1 true false None;
    ARGMAX = "argmax" REDUCE_ARG_EXTREME LARGER, 2 true true None;
    ARGMIN = "argmin" REDUCE_ARG_EXTREME SMALLER, 2 true true None;
}

impl Reduction {
    /// The reduction of `x` over sorted `axes`, which are kept as 1, or in `into`, a contiguous tensor of as many elements.
    /// `scalar` is what the op's file says of `p.scalar`.
    pub(super) fn apply(
        &self,
        x: &Tensor,
        axes: &[usize],
        scalar: f32,
        into: Option<&Tensor>,
    ) -> Result<Tensor> {
        let (shape, dtype) = (x.shape(), x.dtype());
        if !(dtype.is_float() || self.integers && dtype == DType::I32) {
            return Err(x.no_floats(self.name));
        }
        let kept_shape: Vec<usize> =
            (0..shape.len()).map(|d| if axes.contains(&d) { 1 } else { shape[d] }).collect();
        let dtype = if self.gives_index { DType::I32 } else { dtype };
        let y = match into {
            Some(into) => into.with_shape(&kept_shape),
            None => Tensor::empty_of(x.gpu(), &kept_shape, dtype)?,
        };
        if !x.is_empty() {
            self.launch(x, axes, scalar, &y)?;
        } else if !y.is_empty() {
            let Some(nothing) = self.nothing else {
                let message = format!("a tensor {shape:?} over axes {axes:?}: of no elements there is none");
                return Err(Error::shape(self.name, message));
            };
            Tensor::full(x.gpu(), &kept_shape, nothing)?.to_dtype(dtype)?.copy_into(&y)?;
        }
        Ok(y)
    }

    fn launch(&self, x: &Tensor, axes: &[usize], scalar: f32, y: &Tensor) -> Result<()> {
        let of = |of: &[usize], reduced| -> Vec<usize> {
            (0..of.len()).filter(|d| axes.contains(d) == reduced).map(|d| of[d]).collect()
        };
        let at = x.strided();
        let layout = |reduced| merged(&of(x.shape(), reduced), &[&of(&at.strides, reduced)]);
        let (mut kept, mut reduced, mut offset) = (layout(false), layout(true), at.offset);
        let length = numel(&of(x.shape(), true));
        // Four neighbours along the row at a time, wherever that is how they lie.
        let all = || kept.iter().chain(&reduced[1..]).map(|[_, stride, ..]| *stride).chain([offset]);
        let quads =
            reduced[0][1] == 1 && reduced[0][0].is_multiple_of(4) && all().all(|n| n.is_multiple_of(4));
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
        let (gpu, rows, constants) = (x.gpu(), y.numel(), Vec::new());
        let words = Words { state: self.state_words, settled: 0 };
        let rows = Rows { gpu, files, aliases, constants, rows, n, length, scalar, index: 0, words };
        rows.reduce(Layout { offset, kept, reduced }, &[("x", at.view)], &[("y", y.bind())])
    }
}

pub(super) fn without(shape: &[usize], axes: &[usize]) -> Vec<usize> {
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
