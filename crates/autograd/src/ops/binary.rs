//! Elementwise ops of two operands, with NumPy's broadcasting. Their gradients are made of the ops themselves.

use wgrad_device::shaders::{self, File, Kernel};

use crate::launch::launch;
use crate::shape::{broadcast, broadcast_strides, merged};
use crate::{Op, Result, Tensor};

/// The gradients of two operands, where they are wanted.
type Pair = [Option<Tensor>; 2];

struct Binary {
    name: &'static str,
    /// Declares `f`.
    file: &'static File,
    /// Whether the gradient looks at the operands: otherwise they are not kept.
    saves: bool,
    /// The gradients of both operands in the shape of `dy`, before they are summed to the operands' shapes. The slice
    /// holds the operands where `saves` says so, and nothing otherwise.
    gradient: fn(&[Tensor], &Tensor, &[bool]) -> Result<Pair>,
}

static ADD: Binary = Binary {
    name: "add",
    file: &shaders::BINARY_ADD,
    saves: false,
    gradient: |_, dy, _| Ok([Some(dy.clone()), Some(dy.clone())]),
};

static SUB: Binary = Binary {
    name: "sub",
    file: &shaders::BINARY_SUB,
    saves: false,
    gradient: |_, dy, needed| Ok([Some(dy.clone()), needed[1].then(|| dy.neg()).transpose()?]),
};

static MUL: Binary = Binary {
    name: "mul",
    file: &shaders::BINARY_MUL,
    saves: true,
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
}

impl Tensor {
    fn binary(&self, op: &'static Binary, other: &Tensor) -> Result<Tensor> {
        let shape = broadcast(op.name, self.shape(), other.shape())?;
        let y = Tensor::empty(self.gpu(), &shape)?;
        if self.shape() == other.shape() {
            let n4 = y.numel().div_ceil(4);
            launch(self.gpu(), Kernel::new(&shaders::BINARY_FORWARD, "binary_forward").with(op.file))
                .bind_all([("a", self.bind_padded()), ("b", other.bind_padded()), ("y", y.bind_padded())])
                .set("n4", n4)
                .threads(n4)
                .enqueue()?;
        } else {
            let [a, b] = [self, other].map(|operand| broadcast_strides(operand.shape(), &shape));
            let axes = merged(&shape, &[&a, &b]);
            launch(self.gpu(), Kernel::new(&shaders::BINARY_BROADCAST, "binary_broadcast").with(op.file))
                .constant("RANK", axes.len())
                .bind_all([("a", self.bind()), ("b", other.bind()), ("y", y.bind())])
                .set("n", y.numel())
                .max_iterations(axes.len())
                .set_rows("axes", axes)
                .threads(y.numel())
                .enqueue()?;
        }
        let saved = || if op.saves { vec![self.detach(), other.detach()] } else { Vec::new() };
        let shapes = || [self.shape().to_vec(), other.shape().to_vec()];
        Ok(y.with_op(&[self, other], || BinaryOp { op, saved: saved(), shapes: shapes() }))
    }

    /// `a + b`. Shapes broadcast by NumPy's rules.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] if they don't, [`crate::Error::Device`].
    pub fn add(&self, other: &Tensor) -> Result<Tensor> {
        self.binary(&ADD, other)
    }

    /// `a - b`. Shapes broadcast by NumPy's rules.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] if they don't, [`crate::Error::Device`].
    pub fn sub(&self, other: &Tensor) -> Result<Tensor> {
        self.binary(&SUB, other)
    }

    /// `a · b`, elementwise. Shapes broadcast by NumPy's rules.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] if they don't, [`crate::Error::Device`].
    pub fn mul(&self, other: &Tensor) -> Result<Tensor> {
        self.binary(&MUL, other)
    }

    /// `a / b`, elementwise. Shapes broadcast by NumPy's rules. WGSL leaves division by 0 open.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] if they don't, [`crate::Error::Device`].
    pub fn div(&self, other: &Tensor) -> Result<Tensor> {
        self.binary(&DIV, other)
    }

    /// 1 where the operands are equal, 0 elsewhere; has no gradient. Shapes broadcast by NumPy's rules.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] if they don't, [`crate::Error::Device`].
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
        let axes: Vec<usize> = (0..self.shape().len()).filter(widened).collect();
        let summed = if axes.is_empty() { self.clone() } else { self.sum(&axes)? };
        Ok(summed.with_shape(shape))
    }
}
