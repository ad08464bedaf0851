//! Running sums, and the largest elements of rows.

use wgrad_device::shaders::{self, Kernel};

use super::reduction::{Layout, RowKernel, Rows, TermCalls, Words};
use crate::launch::launch;
use crate::shape::{checked_axis, numel};
use crate::{DType, Error, Op, Result, Tensor};

/// Elements of an axis that is not cut, and of a chunk of a longer one.
const SHORT: usize = 1024;
const CHUNK: usize = 256;

/// The state is the bits of an element, and its index.
static NEXT_PICK: RowKernel = RowKernel {
    file: &shaders::REDUCE_NEXT_PICK,
    term: TermCalls::Neither,
    words: Words { state: 2, settled: 0 },
};

/// Running sums of contiguous `x` seen as `[outer, n, inner]`, along the middle axis.
fn scan(x: &Tensor, [outer, n, inner]: [usize; 3], reverse: bool) -> Result<Tensor> {
    let y = Tensor::empty_of(x.gpu(), x.shape(), x.dtype())?;
    if x.is_empty() {
        return Ok(y);
    }
    let chunk = if n <= SHORT { n } else { CHUNK };
    let chunks = n.div_ceil(chunk);
    let total = outer * chunks * inner;
    let kernel = |entry| {
        launch(x.gpu(), Kernel::new(&shaders::REDUCE_SCAN, entry))
            .alias("E", x.dtype().wgsl())
            .constant("REVERSE", usize::from(reverse))
            .bind("x", x.bind())
            .set_all([("n", n), ("inner", inner), ("chunk", chunk), ("chunks", chunks), ("total", total)])
            .max_iterations(chunk + 1)
            .threads(total)
    };
    // A single chunk has none before it; whatever lies at hand is bound.
    let mut before = x.detach();
    if chunks > 1 {
        let sums = Tensor::empty_of(x.gpu(), &[total], x.dtype())?;
        kernel("scan_sums").bind("sums", sums.bind()).enqueue()?;
        before = scan(&sums, [outer, chunks, inner], false)?;
    }
    kernel("scan").bind_all([("before", before.bind()), ("y", y.bind())]).enqueue()?;
    Ok(y)
}

#[derive(Clone, Copy)]
struct Cumsum {
    axes: [usize; 3],
    reverse: bool,
}

impl Cumsum {
    fn apply(self, x: &Tensor) -> Result<Tensor> {
        let x = x.contiguous()?;
        Ok(scan(&x, self.axes, self.reverse)?.with_op(&[&x], || self))
    }
}

impl Op for Cumsum {
    fn name(&self) -> &'static str {
        "cumsum"
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(Self { reverse: !self.reverse, ..*self }.apply(dy)?)])
    }

    fn recorded_backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Option<Vec<Option<Tensor>>>> {
        self.backward(dy, needed).map(Some)
    }
}

impl Tensor {
    /// The sum of each element and all before it along `axis`, whose length is any. Sums of i32 wrap around.
    ///
    /// Shape: any, kept. Counterpart: `torch.cumsum`.
    ///
    /// # Errors
    /// [`Error::Shape`] for an axis that does not exist, [`Error::DType`] for bytes, [`Error::Device`].
    pub fn cumsum(&self, axis: isize) -> Result<Tensor> {
        const OP: &str = "cumsum";
        let axis = checked_axis(OP, self.shape(), axis)?;
        let axes = [numel(&self.shape()[..axis]), self.shape()[axis], numel(&self.shape()[axis + 1..])];
        let op = Cumsum { axes, reverse: false };
        if self.dtype() == DType::I32 { op.apply(self) } else { self.in_f32(OP, |x| op.apply(x)) }
    }

    /// The `k` largest elements of each row along the last axis, from the largest on, and their indices as i32. Of equal ones the
    /// first comes first, and NaN counts as the largest. Each takes a pass over the rows: for small `k`.
    ///
    /// Shape: `[.., n]` to two of `[.., k]`. Counterpart: `torch.topk`.
    ///
    /// # Errors
    /// [`Error::Shape`] for a scalar or more than n elements, [`Error::DType`] for integers, [`Error::Device`].
    pub fn topk(&self, k: usize) -> Result<(Tensor, Tensor)> {
        const OP: &str = "topk";
        let [rows, cols] = self.rows(OP)?;
        if k > cols {
            return Err(Error::shape(
                OP,
                format!("the {k} largest of {cols} elements of {:?}", self.shape()),
            ));
        }
        let x = self.detach().as_f32(OP)?;
        let picks = Tensor::empty_of(self.gpu(), &[k, rows], DType::I32)?;
        let views = [("x", x.bind()), ("picks", picks.bind())];
        for pick in 0..k {
            let mut row = Rows::of(&x, [rows, cols], &NEXT_PICK);
            row.files.push(&shaders::ORDER_LARGER_F32);
            (row.n, row.index) = (cols, pick as u32);
            row.reduce(Layout::contiguous(rows, cols), &views, &views[1..])?;
        }
        let mut shape = self.shape().to_vec();
        shape[self.shape().len() - 1] = k;
        let indices = picks.transpose(0, 1)?.contiguous()?.with_shape(&shape);
        Ok((self.gather(-1, &indices)?, indices))
    }
}
