//! A product as plain data: C = A · B in batches, where the operands and C lie, and what is done with C before it is stored.

use wgrad_device::shaders::{self, File, Kernel};
use wgrad_device::{Buffer, Gpu, Launch, View};

use super::epilogue::{FusedEpilogue, Width};
use super::operand::{Operand, OperandKernels};
use crate::launch::launch;
use crate::{DType, Result};

/// Longest sum that one invocation adds up; below the loop limit of software adapters, and short enough for the rounding of a
/// plain f32 sum.
pub(super) const LONGEST_SUM: usize = 16_384;

/// Rows of partial products are padded to whole stores of either family.
const PARTIAL_COLUMNS: usize = 8;

/// Where C lies in the output: `batch·c_batch + row·c_row + (col / plane)·c_image + (col % plane)·c_col`.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub c_batch: usize,
    pub c_row: usize,
    pub c_image: usize,
    pub plane: usize,
    pub c_col: usize,
}

impl Layout {
    /// Row-major `[batches, m, n]`.
    pub fn rows(m: usize, n: usize) -> Self {
        Self { c_batch: m * n, c_row: n, c_image: 0, plane: n, c_col: 1 }
    }

    /// Whether C can be stored by this many columns at once.
    pub fn by(&self, columns: usize, n: usize) -> bool {
        let sizes = [n, self.plane, self.c_row, self.c_batch, self.c_image];
        self.c_col == 1 && sizes.iter().all(|size| size.is_multiple_of(columns))
    }

    /// How many columns are stored at once, and the file that does.
    pub fn store(&self, n: usize) -> (Width, &'static File) {
        if self.by(4, n) { (Width::Four, &shaders::STORE_VEC4) } else { (Width::One, &shaders::STORE_SCALAR) }
    }

    pub fn set<'a>(&self, launch: Launch<'a>) -> Launch<'a> {
        let Self { c_batch, c_row, c_image, plane, c_col } = *self;
        launch
            .set_all([("c_batch", c_batch), ("c_row", c_row), ("c_image", c_image)])
            .set_all([("plane", plane), ("c_col", c_col)])
    }
}

/// A batched product.
pub(super) struct Problem<'a> {
    pub kernels: &'static OperandKernels,
    pub a: Operand,
    pub b: Operand,
    /// Constants of the operands' file.
    pub constants: &'a [(&'static str, usize)],
    pub batches: usize,
    /// Batches of an inner run: see [`Strides`](super::operand::Strides).
    pub inner: usize,
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub layout: Layout,
    pub epilogue: FusedEpilogue,
    pub out: View,
    /// The output's type.
    pub dtype: DType,
}

impl Problem<'_> {
    /// Two for a multiply-add.
    pub fn flops(&self) -> u64 {
        2 * (self.batches * self.m * self.n * self.k) as u64
    }

    /// The launch of a kernel that reads the operands through their file.
    pub fn launch<'a>(&self, gpu: &'a Gpu, kernel: Kernel<'static>) -> Launch<'a> {
        let (a, b) = (self.a.strides, self.b.strides);
        launch(gpu, kernel.with(self.kernels.file))
            .alias("ElementA", self.a.dtype.wgsl())
            .alias("ElementB", self.b.dtype.wgsl())
            .constants(self.constants.iter().copied())
            .set_all([("inner", self.inner), ("a_offset", a.offset), ("b_offset", b.offset)])
            .set_all([("a_outer", a.outer), ("a_batch", a.batch), ("a_row", a.row), ("a_k", a.k)])
            .set_all([("b_outer", b.outer), ("b_batch", b.batch), ("b_col", b.row), ("b_k", b.k)])
    }

    /// What a product kernel writes that stores C itself (`direct`), or leaves that to [`Problem::reduce`].
    pub fn target(&self, gpu: &Gpu, splits: &Splits, direct: bool) -> Result<Target> {
        if direct {
            let (view, layout, epilogue) = (self.out.clone(), self.layout, self.epilogue.clone());
            let (n, dtype) = (self.n, self.dtype);
            return Ok(Target { partial: None, view, layout, epilogue, n, dtype, c_split: 0 });
        }
        let n = self.n.next_multiple_of(PARTIAL_COLUMNS);
        let buffer = gpu.buffer((splits.count * self.batches * self.m * n) as u64 * 4)?;
        Ok(Target {
            view: buffer.whole(),
            layout: Layout::rows(self.m, n),
            epilogue: FusedEpilogue::default(),
            n,
            dtype: DType::F32,
            c_split: self.batches * self.m * n,
            partial: Some(buffer),
        })
    }

    /// Adds up partial products, if that is what was written.
    pub fn reduce(&self, gpu: &Gpu, target: &Target, splits: &Splits) -> Result<()> {
        let Some(partial) = &target.partial else { return Ok(()) };
        let (width, store) = self.layout.store(self.n);
        let kernel = self.epilogue.choose(Kernel::new(&shaders::REDUCE_SPLITS, "main").with(store));
        let launch = launch(gpu, kernel)
            .alias("Out", self.dtype.wgsl())
            .bind_all([("partial", partial.whole()), ("out", self.out.clone())])
            .set_all([("batches", self.batches), ("splits", splits.count), ("m", self.m), ("n", self.n)])
            .set("padded", target.n);
        let launch = self.epilogue.bind(self.layout.set(launch), self.dtype, width, &partial.whole());
        Ok(launch.max_iterations(splits.count).threads(self.batches * self.m * target.n / 4).enqueue()?)
    }
}

/// What a product kernel writes.
pub(super) struct Target {
    /// Partial products, if it does not write C itself.
    pub partial: Option<Buffer>,
    pub view: View,
    pub layout: Layout,
    pub epilogue: FusedEpilogue,
    pub n: usize,
    pub dtype: DType,
    /// Floats from one split's partial product to the next.
    pub c_split: usize,
}

/// A sum over k in `count` parts of at most `k` terms.
pub(super) struct Splits {
    pub count: usize,
    pub k: usize,
}

/// How a sum over `k` is split: never longer than [`LONGEST_SUM`], and short enough that `tiles` workgroups times the splits
/// make `enough`, as long as each split still adds 256 terms.
pub(super) fn splits(k: usize, tiles: usize, enough: usize, multiple: usize) -> Splits {
    let least = k.div_ceil(LONGEST_SUM);
    let wanted = if tiles >= enough { 1 } else { (2 * enough / tiles).min(k.div_ceil(256)) };
    let per_split = k.div_ceil(least.max(wanted).max(1)).next_multiple_of(multiple);
    Splits { count: k.div_ceil(per_split), k: per_split }
}

#[cfg(test)]
mod tests {
    use super::splits;

    #[test]
    fn splits_cover_k_and_stay_short() {
        for k in [1, 15, 16, 255, 256, 1000, 16_384, 65_536, 100_001] {
            for tiles in [1, 3, 31, 32, 500] {
                for multiple in [1, 16] {
                    let s = splits(k, tiles, 32, multiple);
                    assert!(s.count * s.k >= k && (s.count - 1) * s.k < k, "k {k}: {} × {}", s.count, s.k);
                    assert!(s.k <= 16_384 && s.k.is_multiple_of(multiple));
                }
            }
        }
        assert_eq!(splits(64, 1, 32, 1).count, 1, "a short sum is not worth splitting");
    }
}
