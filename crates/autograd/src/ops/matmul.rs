//! Matrix products.

use wgrad_device::Family;

use crate::gemm::{self, Bias, Layout, Product};
use crate::half::Operand;
use crate::ops::unary::relu_backward;
use crate::pack::Fast;
use crate::shape::numel;
use crate::{Error, Op, Result, Tensor};

/// A batch of matrices: leading axes joined, and which of the last two is the row.
struct Matrices<'a> {
    operand: Operand<'a>,
    batches: usize,
    rows: usize,
    cols: usize,
    transposed: bool,
}

impl<'a> Matrices<'a> {
    fn new(op: &'static str, operand: impl Into<Operand<'a>>, transposed: bool) -> Result<Self> {
        let operand = operand.into();
        let shape = operand.shape();
        let [.., r, c] = *shape else {
            return Err(Error::shape(op, format!("an operand {shape:?} is no matrix")));
        };
        let (rows, cols) = if transposed { (c, r) } else { (r, c) };
        Ok(Self { operand, batches: numel(&shape[..shape.len() - 2]), rows, cols, transposed })
    }

    fn leading(&self) -> &'a [usize] {
        &self.operand.shape()[..self.operand.shape().len() - 2]
    }

    /// Strides from row to row and from column to column, and from matrix to matrix (0 where there is one).
    fn strides(&self) -> [usize; 3] {
        let [row, col] = if self.transposed { [1, self.rows] } else { [self.cols, 1] };
        [if self.batches == 1 { 0 } else { self.rows * self.cols }, row, col]
    }
}

/// `a · b` for operands already checked, into a new tensor of this shape.
fn product(a: &Matrices, b: &Matrices, shape: &[usize], bias: Bias, relu: bool) -> Result<Tensor> {
    let y = Tensor::empty(a.operand.gpu(), shape)?;
    let (m, n, k) = (a.rows, b.cols, a.cols);
    let ([a_batch, a_row, a_k], [b_batch, b_k, b_col]) = (a.strides(), b.strides());
    let constants = [("A_UNIT", usize::from(a_k == 1)), ("B_UNIT", usize::from(b_k == 1))];
    let strides = [[a_batch, a_row, a_k], [b_batch, b_col, b_k]];
    let fast = [Fast::matrix(a.batches, m, k, strides[0]), Fast::matrix(b.batches, n, k, strides[1])];
    let product = Product {
        gpu: y.gpu(),
        element: a.operand.element(),
        operands: &gemm::MATMUL,
        fast,
        views: [a.operand.view(), b.operand.view()],
        constants: &constants,
        strides,
        batches: a.batches.max(b.batches),
        matrices: [a.batches, b.batches],
        m,
        n,
        k,
        layout: Layout::rows(m, n),
        bias,
        relu,
        out: y.view(),
    };
    product.record()?;
    Ok(y)
}

/// Product of `a` and `b`, each transposed where said, without a graph.
pub(crate) fn matmul<'a>(
    op: &'static str,
    a: impl Into<Operand<'a>>,
    ta: bool,
    b: impl Into<Operand<'a>>,
    tb: bool,
) -> Result<Tensor> {
    let (a, b) = (a.into(), b.into());
    let mut left = Matrices::new(op, a, ta)?;
    let right = Matrices::new(op, b, tb)?;
    if left.cols != right.rows {
        let message = format!(
            "{:?}{} × {:?}{}: {} ≠ {}",
            a.shape(),
            if ta { "ᵀ" } else { "" },
            b.shape(),
            if tb { "ᵀ" } else { "" },
            left.cols,
            right.rows
        );
        return Err(Error::shape(op, message));
    }
    let (l, r) = (left.leading().to_vec(), right.leading().to_vec());
    if l != r && !l.is_empty() && !r.is_empty() {
        return Err(Error::shape(
            op,
            format!("batches {l:?} and {r:?} differ: {:?} × {:?}", a.shape(), b.shape()),
        ));
    }
    let mut shape = if l.is_empty() { r } else { l };
    shape.extend([left.rows, right.cols]);
    if right.leading().is_empty() && !ta {
        // A batch times one shared matrix is one product with all the batch's rows.
        left.rows *= left.batches;
        left.batches = 1;
    }
    product(&left, &right, &shape, Bias::None, false)
}

struct Matmul {
    a: Tensor,
    b: Tensor,
    ta: bool,
    tb: bool,
}

impl Op for Matmul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    // With A = op(a), B = op(b): dA = dC · Bᵀ and dB = Aᵀ · dC, and a transposed operand's gradient is transposed.
    fn backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let Self { a, b, ta, tb } = self;
        let da = || match ta {
            false => batched(dy, false, b, !tb, a.shape()),
            true => batched(b, *tb, dy, true, a.shape()),
        };
        let db = || match tb {
            false => batched(a, !ta, dy, false, b.shape()),
            true => batched(dy, true, a, *ta, b.shape()),
        };
        Ok(vec![needed[0].then(da).transpose()?, needed[1].then(db).transpose()?])
    }
}

/// A product whose batches are summed where the operand it is the gradient of, of `shape`, had none.
fn batched(x: &Tensor, tx: bool, y: &Tensor, ty: bool, shape: &[usize]) -> Result<Tensor> {
    let (leading_x, leading_y) = (x.shape().len() - 2, y.shape().len() - 2);
    if shape.len() == 2 && leading_x > 0 && leading_y > 0 && tx && !ty {
        // Σ over the batch of Xᵀ·Y is one product of all rows: no batch of partial results is made.
        let rows = |t: &Tensor| {
            let cols = t.shape()[t.shape().len() - 1];
            t.with_shape(&[t.numel() / cols, cols])
        };
        return matmul("matmul", &rows(x), true, &rows(y), false);
    }
    matmul("matmul", x, tx, y, ty)?.sum_to(shape)
}

struct Linear {
    x: Tensor,
    w: Tensor,
    /// The output, where a ReLU followed.
    relu: Option<Tensor>,
}

impl Op for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let (rows, out) = (dy.numel() / self.w.shape()[0], self.w.shape()[0]);
        let dy = match &self.relu {
            Some(y) => relu_backward(y, dy)?,
            None => dy.clone(),
        };
        let dy = dy.with_shape(&[rows, out]);
        let x = self.x.with_shape(&[rows, self.w.shape()[1]]);
        let dx = needed[0].then(|| matmul("linear", &dy, false, &self.w, false)).transpose()?;
        let dw = needed[1].then(|| matmul("linear", &dy, true, &x, false)).transpose()?;
        let mut gradients = vec![dx.map(|dx| dx.with_shape(self.x.shape())), dw];
        if needed.len() == 3 {
            gradients.push(needed[2].then(|| dy.sum(&[0])).transpose()?);
        }
        Ok(gradients)
    }
}

impl Tensor {
    /// Matrix product over the last two axes.
    ///
    /// Shape: `[.., m, k]` and `[.., k, n]` to `[.., m, n]`. Leading axes are equal, or one operand has none and
    /// is shared by all matrices of the other.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Device`].
    pub fn matmul(&self, other: &Tensor) -> Result<Tensor> {
        self.matmul_transposed(false, other, false)
    }

    /// As [`Tensor::matmul`], with either operand's last two axes swapped first; nothing is copied for that.
    ///
    /// # Errors
    /// As [`Tensor::matmul`].
    pub fn matmul_transposed(
        &self,
        transpose: bool,
        other: &Tensor,
        transpose_other: bool,
    ) -> Result<Tensor> {
        let y = matmul("matmul", self, transpose, other, transpose_other)?;
        let op = || Matmul { a: self.detach(), b: other.detach(), ta: transpose, tb: transpose_other };
        Ok(y.recorded(&[self, other], op))
    }

    /// `x · wᵀ + bias`, as a linear layer computes it, in one kernel.
    ///
    /// Shape: `[.., inputs]`, `w` `[outputs, inputs]`, `bias` `[outputs]` to `[.., outputs]`.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Device`].
    pub fn linear(&self, w: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        self.linear_then(w, bias, false)
    }

    /// `max(x · wᵀ + bias, 0)`: [`Tensor::linear`] and a ReLU, which on software adapters is a part of the same kernel.
    ///
    /// # Errors
    /// As [`Tensor::linear`].
    pub fn linear_relu(&self, w: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        match self.gpu().family() {
            Family::Cpu => self.linear_then(w, bias, true),
            Family::Gpu => self.linear(w, bias)?.relu(),
        }
    }

    fn linear_then(&self, w: &Tensor, bias: Option<&Tensor>, relu: bool) -> Result<Tensor> {
        let (Some((&inputs, leading)), &[outputs, k]) = (self.shape().split_last(), w.shape()) else {
            let message = format!(
                "input {:?} and weight {:?}; expected [.., in] and [out, in]",
                self.shape(),
                w.shape()
            );
            return Err(Error::shape("linear", message));
        };
        if inputs != k || bias.is_some_and(|bias| bias.shape() != [outputs]) {
            let bias = bias.map_or(String::new(), |bias| format!(" and bias {:?}", bias.shape()));
            let message = format!(
                "input {:?} does not fit weight {:?}{bias}: expected [.., {k}]",
                self.shape(),
                w.shape()
            );
            return Err(Error::shape("linear", message));
        }
        let rows = self.with_shape(&[self.numel() / inputs, inputs]);
        let (a, b) = (Matrices::new("linear", &rows, false)?, Matrices::new("linear", w, true)?);
        let mut shape = leading.to_vec();
        shape.push(outputs);
        let y = product(&a, &b, &shape, bias.map_or(Bias::None, |bias| Bias::Col(bias.view4())), relu)?;
        let mut inputs = vec![self, w];
        inputs.extend(bias);
        let saved = relu.then(|| y.detach());
        Ok(y.recorded(&inputs, || Linear { x: self.detach(), w: w.detach(), relu: saved }))
    }
}
