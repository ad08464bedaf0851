//! Matrix products.

use wgrad_device::{Family, Gpu, View};

use crate::gemm::{self, Bias, Layout, Product};
use crate::ops::unary::relu_backward;
use crate::pack::Fast;
use crate::shape::numel;
use crate::{Error, Op, Result, Tensor};

/// A batch of matrices: leading axes joined, and where each element lies.
#[derive(Clone)]
struct Matrices<'a> {
    operand: &'a Tensor,
    view: View,
    batches: usize,
    rows: usize,
    cols: usize,
    /// From matrix to matrix (0 where there is one), from row to row and from column to column.
    strides: [usize; 3],
}

impl<'a> Matrices<'a> {
    fn new(op: &'static str, operand: &'a Tensor, transposed: bool) -> Result<Self> {
        let shape = operand.shape();
        let [.., r, c] = *shape else {
            return Err(Error::shape(op, format!("an operand {shape:?} is no matrix")));
        };
        let (rows, cols, row, col) = if transposed { (c, r, 1, c) } else { (r, c, c, 1) };
        let batches = numel(&shape[..shape.len() - 2]);
        let strides = [if batches == 1 { 0 } else { rows * cols }, row, col];
        Ok(Self { operand, view: operand.bind_padded(), batches, rows, cols, strides })
    }

    fn leading(&self) -> &'a [usize] {
        &self.operand.shape()[..self.operand.shape().len() - 2]
    }

    /// What lies from the element `(batch, row, col)` on, with these sizes instead.
    fn part(&self, [batch, row, col]: [usize; 3], [batches, rows, cols]: [usize; 3]) -> Self {
        let [by_batch, by_row, by_col] = self.strides;
        let from = ((batch * by_batch + row * by_row + col * by_col) * self.operand.dtype().size()) as u64;
        let view = self.view.buffer.view(self.view.offset + from, self.view.size - from);
        Self { view, batches: batches.min(self.batches), rows, cols, ..self.clone() }
    }
}

/// Parts of a product begin at multiples of so many elements along each axis: there every operand may be bound.
const PART: usize = 128;

/// Batched `a · b`, written to `out` as `[batches, m, n]`, of which rows are `row` floats long.
struct Written<'a> {
    a: Matrices<'a>,
    b: Matrices<'a>,
    bias: Bias,
    relu: bool,
    out: View,
    /// From matrix to matrix and from row to row in `out`.
    strides: [usize; 2],
}

impl Written<'_> {
    fn batches(&self) -> usize {
        self.a.batches.max(self.b.batches)
    }

    /// Floats that the `cpu` family packs of A and of B, and of partial products.
    fn packed(&self) -> [usize; 3] {
        let k = self.a.cols.next_multiple_of(4);
        let (m, n) = (self.a.rows, self.b.cols);
        let partial = self.batches() * m * n.next_multiple_of(8);
        [self.a.batches * m.next_multiple_of(32) * k, self.b.batches * n.next_multiple_of(64) * k, partial]
    }

    /// Records the product, in parts where what is packed of it would outgrow a binding.
    fn enqueue(self, gpu: &Gpu) -> Result<()> {
        let limit = (gpu.limits().max_storage_buffer_binding_size / 4) as usize;
        let packed = self.packed();
        if gpu.family() == Family::Gpu || packed.iter().all(|&floats| floats <= limit) {
            return self.record_whole(gpu);
        }
        let (m, n, k) = (self.a.rows, self.b.cols, self.a.cols);
        let half = |n: usize| (n / 2).next_multiple_of(PART);
        // The axis to cut: batches, or that of the operand which is too large.
        let sizes = [self.batches(), m, n];
        let axis = if sizes[0] > PART {
            0
        } else if packed[0] > limit && m > PART {
            1
        } else if n > PART {
            2
        } else if m > PART {
            1
        } else {
            return self.record_whole(gpu);
        };
        let cut = half(sizes[axis]);
        for (first, count) in [(0, cut), (cut, sizes[axis] - cut)] {
            let (mut from, mut part) = ([0; 3], sizes);
            (from[axis], part[axis]) = (first, count);
            let at = |matrices: &Matrices| if matrices.batches == 1 { 0 } else { from[0] };
            let a = self.a.part([at(&self.a), from[1], 0], [part[0], part[1], k]);
            let b = self.b.part([at(&self.b), 0, from[2]], [part[0], k, part[2]]);
            let bytes = ((from[0] * self.strides[0] + from[1] * self.strides[1] + from[2]) * 4) as u64;
            let out = self.out.buffer.view(self.out.offset + bytes, self.out.size - bytes);
            let bias = self.bias.columns_from(from[2]);
            Written { a, b, bias, relu: self.relu, out, strides: self.strides }.enqueue(gpu)?;
        }
        Ok(())
    }

    fn record_whole(self, gpu: &Gpu) -> Result<()> {
        let (m, n, k) = (self.a.rows, self.b.cols, self.a.cols);
        let ([a_batch, a_row, a_k], [b_batch, b_k, b_col]) = (self.a.strides, self.b.strides);
        let constants = [("A_UNIT", usize::from(a_k == 1)), ("B_UNIT", usize::from(b_k == 1))];
        let (batches, matrices) = (self.batches(), [self.a.batches, self.b.batches]);
        let shared = |n: usize, stride| if n == 1 { 0 } else { stride };
        let strides =
            [[shared(matrices[0], a_batch), a_row, a_k], [shared(matrices[1], b_batch), b_col, b_k]];
        let fast = [Fast::matrix(matrices[0], m, k, strides[0]), Fast::matrix(matrices[1], n, k, strides[1])];
        let [c_batch, c_row] = self.strides;
        let layout = Layout { c_batch, c_row, c_image: 0, plane: c_row, c_col: 1 };
        let product = Product {
            gpu,
            element: self.a.operand.dtype(),
            operands: &gemm::MATMUL,
            fast,
            views: [self.a.view, self.b.view],
            constants: &constants,
            strides,
            batches,
            matrices,
            m,
            n,
            k,
            layout,
            bias: self.bias,
            relu: self.relu,
            out: self.out,
        };
        product.enqueue()
    }
}

/// `a · b` for operands already checked, into a new tensor of this shape.
fn product(a: &Matrices, b: &Matrices, shape: &[usize], bias: Option<&Tensor>, relu: bool) -> Result<Tensor> {
    let gpu = a.operand.gpu();
    let (m, n, k) = (a.rows, b.cols, a.cols);
    // Terms of which the packed rows of a part fit a binding: longer sums are added up from several products.
    let longest = (gpu.limits().max_storage_buffer_binding_size / 4) as usize / PART / PART * PART;
    if gpu.family() == Family::Cpu && k > longest.max(PART) {
        let mut sum: Option<Tensor> = None;
        for first in (0..k).step_by(longest.max(PART)) {
            let terms = longest.max(PART).min(k - first);
            let part = product(
                &a.part([0, 0, first], [a.batches, m, terms]),
                &b.part([0, first, 0], [b.batches, terms, n]),
                shape,
                None,
                false,
            )?;
            sum = Some(match sum {
                Some(sum) => sum.add(&part)?,
                None => part,
            });
        }
        let sum = sum.ok_or_else(|| Error::shape("matmul", "no terms"))?;
        let y = bias.map_or(Ok(sum.clone()), |bias| sum.add(bias))?;
        return if relu { y.relu() } else { Ok(y) };
    }
    let y = Tensor::empty(gpu, shape)?;
    let bias = bias.map_or(Bias::None, |bias| Bias::Col(bias.bind_padded()));
    let (a, b, out) = (a.clone(), b.clone(), y.bind());
    Written { a, b, bias, relu, out, strides: [m * n, n] }.enqueue(gpu)?;
    Ok(y)
}

/// Product of `a` and `b`, each transposed where said, without a graph.
pub(crate) fn matmul(op: &'static str, a: &Tensor, ta: bool, b: &Tensor, tb: bool) -> Result<Tensor> {
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
    product(&left, &right, &shape, None, false)
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
        let (a, b) = (self.contiguous()?, other.contiguous()?);
        let y = matmul("matmul", &a, transpose, &b, transpose_other)?;
        let op = || Matmul { a: a.detach(), b: b.detach(), ta: transpose, tb: transpose_other };
        Ok(y.with_op(&[&a, &b], op))
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
        let (x, w) = (&self.as_f32("linear")?, &w.as_f32("linear")?);
        let bias = bias.map(|bias| bias.as_f32("linear")).transpose()?;
        let bias = bias.as_ref();
        let rows = x.with_shape(&[x.numel() / inputs, inputs]);
        let (a, b) = (Matrices::new("linear", &rows, false)?, Matrices::new("linear", w, true)?);
        let mut shape = leading.to_vec();
        shape.push(outputs);
        let y = product(&a, &b, &shape, bias, relu)?;
        let mut inputs = vec![x, w];
        inputs.extend(bias);
        let saved = relu.then(|| y.detach());
        Ok(y.with_op(&inputs, || Linear { x: x.detach(), w: w.detach(), relu: saved }))
    }
}
