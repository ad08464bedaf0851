//! Matrix products, and what follows them: one op for matmul and linear layers.

use wgrad_device::Gpu;

use super::epilogue::{Activation, Bias, Epilogue, FusedEpilogue};
use super::matrix_product::{MatrixProduct, PART};
use super::operand::{Operand, Strides, operand_type, output_type};
use super::{packs, sum_of};
use crate::graph::saved_output;
use crate::shape::{broadcast, broadcast_strides, merged, numel};
use crate::{DType, Error, Op, Result, Tensor};

/// Options of [`Tensor::matmul_with`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatmulOptions {
    /// Whether the left operand's last two axes are swapped first.
    pub transpose: bool,
    /// Whether the right operand's last two axes are swapped first.
    pub transpose_other: bool,
    /// The output's type, f32 or f16. `None` gives the operands' type. Sums are always made in f32.
    pub out_dtype: Option<DType>,
}

/// `a · b`, each perhaps transposed. Both may be views.
pub(super) struct Matmul<'a> {
    pub op: &'static str,
    pub a: &'a Tensor,
    pub ta: bool,
    pub b: &'a Tensor,
    pub tb: bool,
}

/// What follows a product in its kernel.
#[derive(Clone, Copy, Default)]
struct End<'a> {
    /// `[n]`, f32.
    bias: Option<&'a Tensor>,
    activation: Activation,
    /// Contiguous, of the output's shape and type.
    residual: Option<&'a Tensor>,
}

/// The sizes of a product and where its operands lie.
struct Sizes {
    batches: usize,
    inner: usize,
    m: usize,
    a: Strides,
    b: Strides,
}

/// Rows and columns as multiplied, and their strides.
fn matrix(x: &Tensor, transposed: bool) -> [usize; 4] {
    let (shape, strides) = (x.shape(), x.strides());
    let last = shape.len() - 1;
    let [r, c] = if transposed { [last, last - 1] } else { [last - 1, last] };
    [shape[r], shape[c], strides[r], strides[c]]
}

fn leading(x: &Tensor) -> &[usize] {
    &x.shape()[..x.shape().len() - 2]
}

impl Matmul<'_> {
    fn gpu(&self) -> &Gpu {
        self.a.gpu()
    }

    fn m(&self) -> usize {
        matrix(self.a, self.ta)[0]
    }

    fn n(&self) -> usize {
        matrix(self.b, self.tb)[1]
    }

    fn k(&self) -> usize {
        matrix(self.a, self.ta)[1]
    }

    /// The output's shape.
    fn shape(&self) -> Result<Vec<usize>> {
        let Self { op, a, ta, b, tb } = *self;
        for operand in [a, b] {
            if operand.shape().len() < 2 {
                return Err(Error::shape(op, format!("an operand {:?} is no matrix", operand.shape())));
            }
        }
        let ([_, k, ..], [rows, ..]) = (matrix(a, ta), matrix(b, tb));
        if k != rows {
            let mark = |transposed| if transposed { "ᵀ" } else { "" };
            let (a, b, ta, tb) = (a.shape(), b.shape(), mark(ta), mark(tb));
            return Err(Error::shape(op, format!("{a:?}{ta} × {b:?}{tb}: {k} ≠ {rows}")));
        }
        let (l, r) = (leading(a), leading(b));
        let mut shape = broadcast(op, l, r).map_err(|_| {
            let message =
                format!("batches {l:?} and {r:?} do not broadcast: {:?} × {:?}", a.shape(), b.shape());
            Error::shape(op, message)
        })?;
        shape.extend([self.m(), self.n()]);
        Ok(shape)
    }

    /// Sizes and strides; `None` if the batches' axes are more than the two that kernels go by.
    fn sizes(&self, lead: &[usize]) -> Option<Sizes> {
        let of = |x: &Tensor| broadcast_strides(leading(x), &x.strides()[..leading(x).len()], lead);
        let (by_a, by_b) = (of(self.a), of(self.b));
        let axes = merged(lead, &[&by_a, &by_b]);
        let (&[inner, a_batch, b_batch, _], rest) = axes.split_first()?;
        let &[outer, a_outer, b_outer, _] = rest.first().unwrap_or(&[1, 0, 0, 0]);
        if rest.len() > 1 {
            return None;
        }
        let ([m, k, a_row, a_k], [_, n, b_k, b_col]) = (matrix(self.a, self.ta), matrix(self.b, self.tb));
        // The stride of an axis of one element says nothing: these suit the fast packs.
        let across = |n: usize, stride: usize| if n == 1 { 0 } else { stride };
        let along = |stride: usize| if k == 1 { 1 } else { stride };
        let offset = |x: &Tensor| x.strided().offset;
        let (a_row, b_col) = (across(m, a_row), across(n, b_col));
        let a = Strides { offset: offset(self.a), outer: a_outer, batch: a_batch, row: a_row, k: along(a_k) };
        let b = Strides { offset: offset(self.b), outer: b_outer, batch: b_batch, row: b_col, k: along(b_k) };
        if b.is_shared() {
            // A batch times one shared matrix is one product with all the batch's rows, if these lie evenly.
            let (dims, by) = ([lead, &[m]].concat(), [&by_a[..], &[a_row]].concat());
            if let [[rows, row, ..]] = merged(&dims, &[&by])[..] {
                let a = Strides { outer: 0, batch: 0, row, ..a };
                return Some(Sizes { batches: 1, inner: 1, m: rows, a, b });
            }
        }
        Some(Sizes { batches: inner * outer, inner, m, a, b })
    }

    /// The product alone, as an op of the graph, written `into` a tensor of its shape and type or a new one.
    pub fn plain(self, dtype: DType, into: Option<&Tensor>) -> Result<Tensor> {
        self.recorded(None, dtype, Epilogue::default(), into)
    }

    /// The product and what follows it. Bias and residual have the right shape and type; pooling is no part of it.
    pub fn with_epilogue(
        self,
        bias: Option<&Tensor>,
        dtype: DType,
        epilogue: Epilogue<'_>,
    ) -> Result<Tensor> {
        self.recorded(bias, dtype, epilogue, None)
    }

    fn recorded(
        self,
        bias: Option<&Tensor>,
        dtype: DType,
        epilogue: Epilogue<'_>,
        into: Option<&Tensor>,
    ) -> Result<Tensor> {
        let shape = self.shape()?;
        let lead = &shape[..shape.len() - 2];
        let Some(sizes) = self.sizes(lead) else {
            let spread = |x: &Tensor| {
                let shape = [lead, &x.shape()[x.shape().len() - 2..]].concat();
                x.broadcast_to(&shape)?.contiguous()
            };
            let (a, b) = (spread(self.a)?, spread(self.b)?);
            return Matmul { a: &a, b: &b, ..self }.recorded(bias, dtype, epilogue, into);
        };
        let bias = bias.map(|bias| bias.as_f32(self.op)).transpose()?;
        let residual = epilogue.residual.map(Tensor::contiguous).transpose()?;
        let mut inputs = vec![self.a, self.b];
        inputs.extend(&bias);
        inputs.extend(&residual);
        let (now, later) = epilogue.split(&inputs);
        let y = match into {
            Some(into) => into.detach(),
            None => Tensor::empty_of(self.gpu(), &shape, dtype)?,
        };
        let end = End { bias: bias.as_ref(), activation: now, residual: residual.as_ref() };
        self.record_sized(sizes, end, &y)?;
        let saved = (now != Activation::None).then(|| y.detach());
        let y = y.with_op(&inputs, || MatmulOp {
            op: self.op,
            operands: [self.a.clone(), self.b.clone()],
            transposed: [self.ta, self.tb],
            activation: now,
            y: saved,
            has_bias: bias.is_some(),
        });
        later.apply(&y)
    }

    /// Records the launches for operands whose batches lie evenly.
    fn record(&self, end: End<'_>, y: &Tensor) -> Result<()> {
        let lead = &y.shape()[..y.shape().len() - 2];
        let Some(sizes) = self.sizes(lead) else {
            return Err(Error::shape(self.op, format!("batches {lead:?} have too many axes")));
        };
        self.record_sized(sizes, end, y)
    }

    fn record_sized(&self, sizes: Sizes, end: End<'_>, y: &Tensor) -> Result<()> {
        let (gpu, k) = (self.gpu(), self.k());
        if y.is_empty() {
            return Ok(());
        }
        if k == 0 {
            return end.apply(&Tensor::zeros(gpu, y.shape())?)?.copy_into(y);
        }
        let limit = (gpu.limits().max_storage_buffer_binding_size / 4) as usize;
        // Terms of which the packed rows of a part fit a binding: longer sums are added up from several products.
        let longest = (limit / PART / PART * PART).max(PART);
        if packs(gpu) && k > longest {
            return self.record_long(longest, end, y);
        }
        let matrices = |strides: Strides| if strides.is_shared() { 1 } else { sizes.batches };
        let operand = |x: &Tensor, strides| {
            let (view, dtype, matrices) = (x.strided().view, x.dtype(), matrices(strides));
            Operand { view, dtype, matrices, strides, layout: None }
        };
        let n = self.n();
        let product = MatrixProduct {
            a: operand(self.a, sizes.a),
            b: operand(self.b, sizes.b),
            batches: sizes.batches,
            inner: sizes.inner,
            sizes: [sizes.m, n, k],
            epilogue: FusedEpilogue {
                bias: end.bias.map_or(Bias::None, |bias| Bias::Col(bias.bind_padded())),
                activation: end.activation,
                residual: end.residual.map(Tensor::bind_padded),
            },
            out: y.bind_padded(),
            dtype: y.dtype(),
            c_strides: [sizes.m * n, n],
        };
        if sizes.inner < sizes.batches && packs(gpu) && !product.fits(limit) {
            // Only batches that lie evenly are cut into parts.
            let lead = &y.shape()[..y.shape().len() - 2];
            let whole = |x: &Tensor| {
                let shape = [lead, &x.shape()[x.shape().len() - 2..]].concat();
                x.detach().broadcast_to(&shape)?.contiguous()
            };
            return Matmul { a: &whole(self.a)?, b: &whole(self.b)?, ..*self }.record(end, y);
        }
        product.enqueue(gpu, limit)
    }

    /// A sum of too many terms, from several products.
    fn record_long(&self, longest: usize, end: End<'_>, y: &Tensor) -> Result<()> {
        let sum = sum_of((0..self.k()).step_by(longest), |first| {
            let last = (first + longest).min(self.k());
            let a = self.a.detach().slice(if self.ta { -2 } else { -1 }, first, last)?;
            let b = self.b.detach().slice(if self.tb { -1 } else { -2 }, first, last)?;
            let part = Tensor::empty(self.gpu(), y.shape())?;
            Matmul { a: &a, b: &b, ..*self }.record(End::default(), &part)?;
            Ok(part)
        })?;
        sum.map_or(Ok(()), |sum| end.apply(&sum)?.copy_into(y))
    }
}

impl End<'_> {
    /// The same by ops of their own, without a graph.
    fn apply(&self, sum: &Tensor) -> Result<Tensor> {
        let mut y = sum.detach();
        if let Some(bias) = self.bias {
            y = y.add(&bias.detach())?;
        }
        if let Some(residual) = self.residual {
            y = y.add(&residual.detach().to_dtype(DType::F32)?)?;
        }
        self.activation.apply(&y)
    }
}

struct MatmulOp {
    op: &'static str,
    operands: [Tensor; 2],
    transposed: [bool; 2],
    activation: Activation,
    /// The output, where an activation followed.
    y: Option<Tensor>,
    /// Whether the inputs behind the operands begin with a bias.
    has_bias: bool,
}

impl Op for MatmulOp {
    fn name(&self) -> &'static str {
        self.op
    }

    fn backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Vec<Option<Tensor>>> {
        self.backward_into(dy, needed, &vec![None; needed.len()])
    }

    fn backward_into(
        &self,
        dy: &Tensor,
        needed: &[bool],
        into: &[Option<Tensor>],
    ) -> Result<Vec<Option<Tensor>>> {
        match &self.y {
            Some(y) => self.gradients(&self.activation.gradient_by_output(y, dy)?, needed, into),
            None => self.gradients(dy, needed, into),
        }
    }

    fn recorded_backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Option<Vec<Option<Tensor>>>> {
        let dz = match &self.y {
            Some(y) => self.activation.recorded_gradient_by_output(&saved_output(y), dy)?,
            None => dy.clone(),
        };
        self.gradients(&dz, needed, &vec![None; needed.len()]).map(Some)
    }

    fn takes_views(&self) -> bool {
        self.y.is_none() && !self.has_bias
    }
}

impl MatmulOp {
    // With A = op(a), B = op(b): dA = dC · Bᵀ and dB = Aᵀ · dC, and a transposed operand's gradient is transposed.
    fn gradients(
        &self,
        dz: &Tensor,
        needed: &[bool],
        into: &[Option<Tensor>],
    ) -> Result<Vec<Option<Tensor>>> {
        let ([a, b], [ta, tb]) = (&self.operands, self.transposed);
        let da = || match ta {
            false => self.gradient(dz, false, b, !tb, a, into[0].as_ref()),
            true => self.gradient(b, tb, dz, true, a, into[0].as_ref()),
        };
        let db = || match tb {
            false => self.gradient(a, !ta, dz, false, b, into[1].as_ref()),
            true => self.gradient(dz, true, a, ta, b, into[1].as_ref()),
        };
        let mut all = vec![needed[0].then(da).transpose()?, needed[1].then(db).transpose()?];
        if self.has_bias {
            let sum = || dz.to_dtype(DType::F32)?.sum_into(&[0], into[2].as_ref());
            all.push(needed[2].then(sum).transpose()?);
        }
        all.resize(needed.len(), Some(dz.clone()));
        Ok(all)
    }

    /// A product in the shape and type of the operand `of` whose gradient it is: batches are summed where that had none.
    fn gradient(
        &self,
        x: &Tensor,
        tx: bool,
        y: &Tensor,
        ty: bool,
        of: &Tensor,
        into: Option<&Tensor>,
    ) -> Result<Tensor> {
        let (op, shape, dtype) = (self.op, of.shape(), of.dtype());
        let has_batch = |t: &Tensor| !leading(t).is_empty();
        if shape.len() == 2 && leading(x) == leading(y) && has_batch(x) && tx && !ty {
            // Σ over the batch of Xᵀ·Y is one product of all rows: no batch of partial results is made.
            let rows = |t: &Tensor| {
                let cols = t.shape()[t.shape().len() - 1];
                t.reshape(&[numel(&t.shape()[..t.shape().len() - 1]), cols])
            };
            return Matmul { op, a: &rows(x)?, ta: true, b: &rows(y)?, tb: false }.plain(dtype, into);
        }
        let product = Matmul { op, a: x, ta: tx, b: y, tb: ty };
        if product.shape()? == shape {
            return product.plain(dtype, into);
        }
        product.plain(DType::F32, None)?.sum_to(shape)?.to_dtype(dtype)
    }
}

impl Tensor {
    /// Matrix product over the last two axes.
    ///
    /// Shape: `[.., m, k]` and `[.., k, n]` to `[.., m, n]`; leading axes broadcast by NumPy's rules. The output has the
    /// operands' type. Views are multiplied as they lie: nothing is copied for a transposed, sliced or expanded operand,
    /// unless its leading axes are neither one row of matrices nor two nested ones. Counterpart: `torch.matmul`, but for
    /// vectors.
    ///
    /// # Errors
    /// [`Error::Shape`]; [`Error::DType`] unless both are floats of one type; [`Error::Device`].
    pub fn matmul(&self, other: &Tensor) -> Result<Tensor> {
        self.matmul_with(other, MatmulOptions::default())
    }

    /// As [`Tensor::matmul`], with operands transposed first, or for an output of another type.
    ///
    /// # Errors
    /// As [`Tensor::matmul`].
    pub fn matmul_with(&self, other: &Tensor, options: MatmulOptions) -> Result<Tensor> {
        const OP: &str = "matmul";
        let MatmulOptions { transpose: ta, transpose_other: tb, out_dtype } = options;
        let dtype = output_type(OP, operand_type(OP, self, other)?, out_dtype)?;
        Matmul { op: OP, a: self, ta, b: other, tb }.plain(dtype, None)
    }
}
