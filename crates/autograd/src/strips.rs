//! The `cpu` family's product of strips (`gemm_strips.wgsl`): which variant a device runs, and its launch.

use wgrad_device::shaders::{self, Kernel};
use wgrad_device::{Buffer, Gpu, View};

use crate::Result;
use crate::gemm::{Bias, Layout, Splits};

/// The strip kernel's variant for a device: the more lanes share what they load, the more rows pay.
pub(crate) struct Strips {
    kernel: &'static Kernel,
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
        let Some(lanes @ (4 | 8 | 16)) = gpu.subgroup().map(|lanes| lanes as usize) else {
            return Self { kernel: &shaders::GEMM_STRIPS_PLAIN, lanes: 8, rows: 16, cols: 64 };
        };
        let kernel =
            if gpu.has_int64() { &shaders::GEMM_STRIPS_SUBGROUP_U64 } else { &shaders::GEMM_STRIPS_SUBGROUP };
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
        let launch = gpu
            .launch(self.kernel)
            .constant("LANES", self.lanes)
            .constant("ROWS", self.rows)
            .constant("COLS", self.cols)
            .bind("a", product.a.whole())
            .bind("b", product.b.view)
            .bind("out", product.out)
            .set("bias_of", product.bias.index())
            .set("relu", usize::from(product.relu))
            // A bias that is not added must still be bound: anything that is only read will do.
            .bind("bias", product.bias.view().cloned().unwrap_or_else(|| product.a.whole()))
            .set("batches", product.batches)
            .set("splits", product.splits.count)
            .set("k_per_split", product.splits.k)
            .set("row_strips", row_strips)
            .set("col_strips", col_strips)
            .set("m", product.m)
            .set("n", product.n)
            .set("k", product.k)
            .set("a_batch", product.a_batch)
            .set("b_batch", product.b.batch)
            .set("b_strip", product.b.strip)
            .set("b_k", product.b.k)
            .set("c_split", product.c_split)
            .set("c_batch", product.layout.c_batch)
            .set("c_row", product.layout.c_row)
            .set("c_image", product.layout.c_image)
            .set("plane", product.layout.plane);
        let flops = 2 * (product.batches * product.m * product.n * product.k) as u64;
        let tiles = product.batches * row_strips * col_strips * product.splits.count;
        Ok(launch.trips(product.splits.k / 4 + 4).flops(flops).groups(tiles).record()?)
    }
}
