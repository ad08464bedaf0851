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
    /// Whether it is one of integers too.
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
    // d(a/b)/db = -(a/b)/b.
    gradient: |saved, dy, needed| {
        let da = dy.div(&saved[1])?;
        let db = needed[1].then(|| da.mul(&saved[0])?.div(&saved[1])?.neg()).transpose()?;
        Ok([needed[0].then_some(da), db])
    },
};

static EQUAL: Binary = Binary {
    name: "equal",
    file: &shaders::BINARY_EQUAL,
    saves: false,
    integers: true,
    gradient: |_, _, _| Ok([None, None]),
};

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
