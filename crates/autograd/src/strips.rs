//! The `cpu` family's product of strips (`gemm_strips.wgsl`): which variant a device runs, and its launch.

use wgrad_device::shaders::{self, File, Kernel};
use wgrad_device::{Buffer, Gpu, View};

use crate::Result;
use crate::gemm::{Bias, Layout, Splits};
use crate::launch::launch;

/// The file that declares how eight floats are loaded at once.
pub(crate) fn wide(gpu: &Gpu) -> &'static File {
    if gpu.has_int64() { &shaders::WIDE_U64 } else { &shaders::WIDE_F32 }
}

/// The strip kernel's variant for a device: the more lanes share what they load, the more rows pay.
pub(crate) struct Strips {
    kernel: Kernel<'static>,
    lanes: usize,
    /// Rows of a strip of A.
    pub rows: usize,
    /// Columns of a strip of B.
    pub cols: usize,
}

/// Where the columns of B lie, in steps of eight floats.
pub(crate) struct Columns {
    pub view: View,
    /// From batch to batch; 0 where all share a matrix.
    pub batch: usize,
    /// From strip to strip.
    pub strip: usize,
    /// From k to k.
    pub k: usize,
}

impl Columns {
    /// Packed into strips of `cols`, `strips` of them in each batch, with `k` padded to a multiple of 4.
    pub(crate) fn packed(packed: &Buffer, cols: usize, strips: usize, k: usize) -> Self {
        let strip = cols * k / 8;
        Self { view: packed.whole(), batch: strips * strip, strip, k: cols / 8 }
    }
}

/// A batched product of operands that lie in strips.
pub(crate) struct StripProduct<'a> {
    /// Packed.
    pub a: &'a Buffer,
    /// Strips from one batch to the next in A; 0 where all batches share them.
    pub a_batch: usize,
    pub b: Columns,
    pub batches: usize,
    pub m: usize,
    /// A multiple of 8.
    pub n: usize,
    /// A multiple of 4.
    pub k: usize,
    pub splits: &'a Splits,
    /// Multiples of 8 only.
    pub layout: Layout,
    /// Floats from one split's product to the next.
    pub c_split: usize,
    pub bias: &'a Bias,
    pub relu: bool,
    pub out: View,
}

impl Strips {
    /// The variant of every product whose rows don't matter: one, since a variant takes a second to compile.
    pub(crate) fn of(gpu: &Gpu) -> Self {
        let kernel = Kernel::new(&shaders::GEMM_STRIPS, "main");
        let Some(lanes @ (4 | 8 | 16)) = gpu.subgroup().map(|lanes| lanes as usize) else {
            return Self { kernel: kernel.with(&shaders::LOAD_PLAIN), lanes: 8, rows: 16, cols: 64 };
        };
        let kernel = kernel.with(&shaders::LOAD_SUBGROUP).with(wide(gpu));
        Self { kernel, lanes, rows: (4 * lanes).min(32), cols: 8 * lanes }
    }

    /// The variant for many products of `m` rows: of few rows, not half of each strip is left empty.
    pub(crate) fn of_rows(gpu: &Gpu, m: usize) -> Self {
        let strips = Self::of(gpu);
        if m <= 16 { Self { rows: 16, ..strips } } else { strips }
    }

    /// Records the product.
    pub(crate) fn multiply(&self, gpu: &Gpu, product: StripProduct<'_>) -> Result<()> {
        let (row_strips, col_strips) = (product.m.div_ceil(self.rows), product.n.div_ceil(self.cols));
        let StripProduct { batches, m, n, k, splits, layout, .. } = product;
        let launch = launch(gpu, self.kernel)
            .constants([("LANES", self.lanes), ("ROWS", self.rows), ("COLS", self.cols)])
            // A bias that is not added must still be bound: anything that is only read will do.
            .bind("bias", product.bias.column().cloned().unwrap_or_else(|| product.a.whole()))
            .bind_all([("a", product.a.whole()), ("b", product.b.view), ("out", product.out)])
            .set_all([("batches", batches), ("splits", splits.count)])
            .set_all([("row_strips", row_strips), ("col_strips", col_strips)])
            .set_all([("m", m), ("n", n), ("k", k), ("k_per_split", splits.k)])
            .set_all([("a_batch", product.a_batch), ("b_batch", product.b.batch)])
            .set_all([("b_strip", product.b.strip), ("b_k", product.b.k)])
            .set_all([("bias_of", product.bias.index()), ("relu", usize::from(product.relu))])
            .set_all([("c_split", product.c_split), ("c_batch", layout.c_batch), ("c_row", layout.c_row)])
            .set_all([("c_image", layout.c_image), ("plane", layout.plane)]);
        let flops = 2 * (batches * m * n * k) as u64;
        let tiles = batches * row_strips * col_strips * splits.count;
        Ok(launch.max_iterations(splits.k / 4 + 4).flops(flops).groups(tiles).enqueue()?)
    }
}
