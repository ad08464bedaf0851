//! Elementwise ops of two operands, with NumPy's broadcasting. Their gradients are made of the ops themselves.

use wgrad_device::shaders::{self, File, Kernel};

use crate::launch::launch;
use crate::shape::{broadcast, broadcast_strides, merged};
use crate::{DType, Error, Op, Result, Tensor};

/// The gradients of two operands, where they are wanted.
type Pair = [Option<Tensor>; 2];

struct Binary {
    name: &'static str,
    /// Declares `f`.
    file: &'static File,
    /// Whether the gradient looks at the operands: otherwise they are not kept.
    saves: bool,
    /// Whether it takes i32 as well as floats.
    integers: bool,
    /// The gradients of both operands in the shape of `dy`, before they are summed to the operands' shapes. The slice
    /// holds the operands where `saves` says so, and nothing otherwise.
    gradient: fn(&[Tensor], &Tensor, &[bool]) -> Result<Pair>,
}

static ADD: Binary = Binary {
    name: "add",
    file: &shaders::BINARY_ADD,
    saves: false,
    integers: true,
    gradient: |_, dy, _| Ok([Some(dy.clone()), Some(dy.clone())]),
};

static SUB: Binary = Binary {
    name: "sub",
    file: &shaders::BINARY_SUB,
    saves: false,
    integers: true,
    gradient: |_, dy, needed| Ok([Some(dy.clone()), needed[1].then(|| dy.neg()).transpose()?]),
};

static MUL: Binary = Binary {
    name: "mul",
    file: &shaders::BINARY_MUL,
    saves: true,
    integers: true,
    gradient: |saved, dy, needed| {
        let da = needed[0].then(|| dy.mul(&saved[1])).transpose()?;
        let db = needed[1].then(|| dy.mul(&saved[0])).transpose()?;
        Ok([da, db])
    },
};

static DIV: Binary = Binary {
    name: "div",
    file: &shaders::BINARY_DIV,
    saves: true,
    integers: false,
    // d(a/b)/db = -(a/b)/b, in this order, in which nothing is larger than it need be: f16 ends early.
    gradient: |saved, dy, needed| {
        let [a, b] = [&saved[0], &saved[1]];
        let da = needed[0].then(|| dy.div(b)).transpose()?;
        let db = needed[1].then(|| a.div(b)?.div(b)?.mul(dy)?.neg()).transpose()?;
        Ok([da, db])
    },
};

static EQUAL: Binary = Binary {
    name: "equal",
    file: &shaders::BINARY_EQUAL,
    saves: false,
    integers: true,
    gradient: |_, _, _| Ok([None, None]),
};

static LESS: Binary = Binary {
    name: "less",
    file: &shaders::BINARY_LESS,
    saves: false,
    integers: true,
    gradient: |_, _, _| Ok([None, None]),
};

static MAXIMUM: Binary = Binary {
    name: "maximum",
    file: &shaders::BINARY_MAXIMUM,
    saves: true,
    integers: true,
    gradient: |saved, dy, needed| extreme_gradient([&saved[0], &saved[1]], [0, 1], dy, needed),
};

static MINIMUM: Binary = Binary {
    name: "minimum",
    file: &shaders::BINARY_MINIMUM,
    saves: true,
    integers: true,
    gradient: |saved, dy, needed| extreme_gradient([&saved[0], &saved[1]], [1, 0], dy, needed),
};

static KEEP_WHERE: Binary = Binary {
    name: "keep_where",
    file: &shaders::BINARY_KEEP_WHERE,
    saves: true,
    integers: true,
    gradient: |saved, dy, _| Ok([Some(dy.keep_where(&saved[1])?), None]),
};

/// The gradient goes to the operand that wins; equal operands get half each. If either is NaN, both get all of it, as in PyTorch.
/// The first operand loses where operand `order[0]` is less than operand `order[1]`.
fn extreme_gradient(of: [&Tensor; 2], order: [usize; 2], dy: &Tensor, needed: &[bool]) -> Result<Pair> {
    let shared = dy.mul(&of[0].equal(of[1])?.mul_add_scalar(-0.5, 1.0)?)?;
    let not_where = |a: usize, b: usize| -> Result<Tensor> {
        shared.keep_where(&of[a].less(of[b])?.mul_add_scalar(-1.0, 1.0)?)
    };
    let [low, high] = order;
    let da = needed[0].then(|| not_where(low, high)).transpose()?;
    let db = needed[1].then(|| not_where(high, low)).transpose()?;
    Ok([da, db])
}

struct BinaryOp {
    op: &'static Binary,
    saved: Vec<Tensor>,
    shapes: [Vec<usize>; 2],
}

impl Op for BinaryOp {
    fn name(&self) -> &'static str {
        self.op.name
    }

    fn backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let gradients = (self.op.gradient)(&self.saved, dy, needed)?;
        let summed =
            gradients.into_iter().zip(&self.shapes).zip(needed).map(|((gradient, shape), needed)| {
                gradient.filter(|_| *needed).map(|gradient| gradient.sum_to(shape)).transpose()
            });
        summed.collect()
    }

    fn recorded_backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Option<Vec<Option<Tensor>>>> {
        self.backward(dy, needed).map(Some)
    }

    fn takes_views(&self) -> bool {
        true
    }
}

impl Tensor {
    fn binary(&self, op: &'static Binary, other: &Tensor) -> Result<Tensor> {
        let shape = broadcast(op.name, self.shape(), other.shape())?;
        let dtype = self.dtype();
        if dtype != other.dtype() || !(dtype.is_float() || (op.integers && dtype == DType::I32)) {
            let (a, b) = (self.shape(), other.shape());
            let message = format!(
                "tensors {a:?} of {dtype} and {b:?} of {}: it takes two of one type, {}; convert with to_dtype",
                other.dtype(),
                if op.integers { "floats or i32" } else { "floats" }
            );
            return Err(Error::DType { op: op.name, message });
        }
        let y = Tensor::empty_of(self.gpu(), &shape, dtype)?;
        let composed =
            |kernel: Kernel<'static>| launch(self.gpu(), kernel.with(op.file)).alias("C", dtype.computed());
        if self.shape() == other.shape() && self.is_contiguous() && other.is_contiguous() {
            let n4 = y.numel().div_ceil(4);
            composed(Kernel::new(&shaders::BINARY_FORWARD, "binary_forward"))
                .alias("X", dtype.wgsl4())
                .bind_all([("a", self.bind_padded()), ("b", other.bind_padded()), ("y", y.bind_padded())])
                .set("n4", n4)
                .threads(n4)
                .enqueue()?;
        } else if !y.is_empty() {
            let [a, b] = [self, other].map(Tensor::strided);
            let by =
                [(self, &a), (other, &b)].map(|(x, at)| broadcast_strides(x.shape(), &at.strides, &shape));
            let axes = merged(&shape, &[&by[0], &by[1]]);
            composed(Kernel::new(&shaders::BINARY_BROADCAST, "binary_broadcast"))
                .alias("E", dtype.wgsl())
                .constant("RANK", axes.len())
                .bind_all([("a", a.view), ("b", b.view), ("y", y.bind())])
                .set_all([("n", y.numel()), ("a_offset", a.offset), ("b_offset", b.offset)])
                .max_iterations(axes.len())
                .set_rows("axes", axes)
                .threads(y.numel())
                .enqueue()?;
        }
        let saved = || if op.saves { vec![self.clone(), other.clone()] } else { Vec::new() };
        let shapes = || [self.shape().to_vec(), other.shape().to_vec()];
        Ok(y.with_op(&[self, other], || BinaryOp { op, saved: saved(), shapes: shapes() }))
    }

    /// `a + b`. Shapes broadcast by NumPy's rules.
    ///
    /// # Errors
    /// [`Error::Shape`] if they don't, [`Error::DType`] for tensors of two types or of bytes, [`Error::Device`].
    pub fn add(&self, other: &Tensor) -> Result<Tensor> {
        self.binary(&ADD, other)
    }

    /// `a - b`. Shapes broadcast by NumPy's rules.
    ///
    /// # Errors
    /// [`Error::Shape`] if they don't, [`Error::DType`] for tensors of two types or of bytes, [`Error::Device`].
    pub fn sub(&self, other: &Tensor) -> Result<Tensor> {
        self.binary(&SUB, other)
    }

    /// `a · b`, elementwise. Shapes broadcast by NumPy's rules.
    ///
    /// # Errors
    /// [`Error::Shape`] if they don't, [`Error::DType`] for tensors of two types or of bytes, [`Error::Device`].
    pub fn mul(&self, other: &Tensor) -> Result<Tensor> {
        self.binary(&MUL, other)
    }

    /// `a / b`, elementwise. Shapes broadcast by NumPy's rules. WGSL leaves division by 0 open.
    ///
    /// # Errors
    /// [`Error::Shape`] if they don't, [`Error::DType`] for tensors of two types or of bytes, [`Error::Device`].
    pub fn div(&self, other: &Tensor) -> Result<Tensor> {
        self.binary(&DIV, other)
    }

    /// 1 where the operands are equal, 0 elsewhere; has no gradient. Shapes broadcast by NumPy's rules.
    ///
    /// # Errors
    /// [`Error::Shape`] if they don't, [`Error::DType`] for tensors of two types or of bytes, [`Error::Device`].
    pub fn equal(&self, other: &Tensor) -> Result<Tensor> {
        self.detach().binary(&EQUAL, &other.detach())
    }

    /// 1 where `a < b`, 0 elsewhere and beside NaN; has no gradient. Shapes broadcast by NumPy's rules.
    ///
    /// # Errors
    /// [`Error::Shape`] if they don't, [`Error::DType`] for tensors of two types or of bytes, [`Error::Device`].
    pub fn less(&self, other: &Tensor) -> Result<Tensor> {
        self.detach().binary(&LESS, &other.detach())
    }

    /// The larger of `a` and `b`, elementwise; NaN where one of them is. Equal operands share the gradient. Shapes broadcast by
    /// NumPy's rules. Counterpart: `torch.maximum`.
    ///
    /// # Errors
    /// [`Error::Shape`] if they don't, [`Error::DType`] for tensors of two types or of bytes, [`Error::Device`].
    pub fn maximum(&self, other: &Tensor) -> Result<Tensor> {
        self.binary(&MAXIMUM, other)
    }

    /// The smaller of `a` and `b`, elementwise, as [`Tensor::maximum`]. Counterpart: `torch.minimum`.
    ///
    /// # Errors
    /// As [`Tensor::maximum`].
    pub fn minimum(&self, other: &Tensor) -> Result<Tensor> {
        self.binary(&MINIMUM, other)
    }

    /// This tensor where `mask` is not 0, and 0 elsewhere, even where this tensor is infinite or NaN; the gradient likewise, and
    /// the mask has none. Shapes broadcast by NumPy's rules. Counterpart: `x.masked_fill(mask == 0, 0)`.
    ///
    /// # Errors
    /// [`Error::Shape`] if they don't, [`Error::DType`] for tensors of two types or of bytes, [`Error::Device`].
    pub fn keep_where(&self, mask: &Tensor) -> Result<Tensor> {
        self.binary(&KEEP_WHERE, &mask.detach())
    }

    /// This tensor summed over the axes along which `shape` was broadcast to it.
    pub(crate) fn sum_to(&self, shape: &[usize]) -> Result<Tensor> {
        if self.shape() == shape {
            return Ok(self.clone());
        }
        let missing = self.shape().len() - shape.len();
        let widened = |&d: &usize| d < missing || (shape[d - missing] == 1 && self.shape()[d] != 1);
        let axes: Vec<isize> = (0..self.shape().len()).filter(widened).map(|d| d as isize).collect();
        let summed = if axes.is_empty() { self.clone() } else { self.sum(&axes)? };
        summed.reshape(shape)
    }
}
