//! A batch of matrix products, in parts where what is packed of it would outgrow a binding.

use wgrad_device::{Gpu, View};

use super::epilogue::FusedEpilogue;
use super::operand::{self, Operand, PackLayout};
use super::problem::{Layout, Problem};
use super::{enqueue, packs};
use crate::{DType, Result};

/// Parts of a product begin at multiples of so many elements along each axis: there every output may be bound.
pub(super) const PART: usize = 128;

/// Batched `a · b`, written to `out`; of A's rows and B's columns those that the strides begin with.
#[derive(Clone)]
pub(super) struct MatrixProduct {
    pub a: Operand,
    pub b: Operand,
    pub batches: usize,
    pub inner: usize,
    /// m, n and k.
    pub sizes: [usize; 3],
    pub epilogue: FusedEpilogue,
    pub out: View,
    pub dtype: DType,
    /// From matrix to matrix and from row to row in `out`.
    pub c_strides: [usize; 2],
}

impl MatrixProduct {
    /// Floats that the `cpu` family packs of A and of B, and of partial products.
    fn packed(&self) -> [usize; 3] {
        let [m, n, k] = self.sizes;
        let k = k.next_multiple_of(4);
        let partial = self.batches * m * n.next_multiple_of(8);
        [self.a.matrices * m.next_multiple_of(32) * k, self.b.matrices * n.next_multiple_of(64) * k, partial]
    }

    pub fn fits(&self, limit: usize) -> bool {
        self.packed().iter().all(|&floats| floats <= limit)
    }

    /// Records the product, in parts where what is packed of it would outgrow a binding.
    pub fn enqueue(self, gpu: &Gpu, limit: usize) -> Result<()> {
        if !packs(gpu) || self.fits(limit) {
            return self.enqueue_whole(gpu);
        }
        let [m, n, _] = self.sizes;
        // The axis to cut: batches, or that of the operand which is too large.
        let sizes = [self.batches, m, n];
        let axis = if sizes[0] > PART {
            0
        } else if self.packed()[0] > limit && m > PART {
            1
        } else if n > PART {
            2
        } else if m > PART {
            1
        } else {
            return self.enqueue_whole(gpu);
        };
        let cut = (sizes[axis] / 2).next_multiple_of(PART);
        self.part(axis, 0, cut).enqueue(gpu, limit)?;
        self.part(axis, cut, sizes[axis] - cut).enqueue(gpu, limit)
    }

    /// `count` of the batches (axis 0), rows (1) or columns (2), from `first` on.
    fn part(&self, axis: usize, first: usize, count: usize) -> Self {
        let mut part = self.clone();
        let [c_batch, c_row] = self.c_strides;
        let at = match axis {
            0 => {
                for operand in [&mut part.a, &mut part.b] {
                    operand.strides.offset += first * operand.strides.batch;
                    operand.matrices = operand.matrices.min(count);
                }
                (part.batches, part.inner) = (count, count);
                first * c_batch
            }
            1 => {
                part.a.strides.offset += first * self.a.strides.row;
                part.sizes[0] = count;
                first * c_row
            }
            _ => {
                part.b.strides.offset += first * self.b.strides.row;
                part.sizes[1] = count;
                part.epilogue.bias = self.epilogue.bias.columns_from(first);
                first
            }
        };
        let bytes = (at * self.dtype.size()) as u64;
        for view in std::iter::once(&mut part.out).chain(&mut part.epilogue.residual) {
            *view = view.buffer.view(view.offset + bytes, view.size - bytes);
        }
        part
    }

    fn enqueue_whole(self, gpu: &Gpu) -> Result<()> {
        let Self { mut a, mut b, batches, inner, sizes: [m, n, k], epilogue, out, dtype, c_strides } = self;
        a.layout = PackLayout::matrix(a.matrices, inner, m, k, a.strides);
        b.layout = PackLayout::matrix(b.matrices, inner, n, k, b.strides);
        let constants =
            [("A_UNIT", usize::from(a.strides.k == 1)), ("B_UNIT", usize::from(b.strides.k == 1))];
        let [c_batch, c_row] = c_strides;
        let problem = Problem {
            kernels: &operand::MATMUL,
            a,
            b,
            constants: &constants,
            batches,
            inner,
            m,
            n,
            k,
            layout: Layout { c_batch, c_row, c_image: 0, plane: c_row, c_col: 1 },
            epilogue,
            out,
            dtype,
        };
        enqueue(gpu, &problem)
    }
}
