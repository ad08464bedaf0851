//! The `cpu` family's product of panels (`gemm_panels.wgsl`): which variant a device runs, and its launch.

use wgrad_device::shaders::{self, File, Kernel};
use wgrad_device::{Buffer, Gpu, View};

use super::pack::{self, Columns, columns_in_place};
use crate::launch::launch;
use crate::products::epilogue::{FusedEpilogue, Width};
use crate::products::operand::PackLayout;
use crate::products::problem::{Layout, Problem, Splits, splits};
use crate::{DType, Result};

/// Panels of A for which B is read where it lies: with more of them it pays to pack it first.
const FEW_READERS: usize = 8;

/// Workgroups that keep a software adapter busy: more tiles than this and splitting gains nothing.
const ENOUGH: usize = 8;

/// The file that declares how eight floats are loaded at once.
pub(super) fn wide(gpu: &Gpu) -> &'static File {
    if gpu.has_int64() { &shaders::WIDE_U64 } else { &shaders::WIDE_F32 }
}

/// The panel kernel's variant for a device: the more lanes share what they load, the more rows pay.
pub(super) struct PanelSizes {
    kernel: Kernel<'static>,
    lanes: usize,
    /// Rows of a panel of A.
    pub rows: usize,
    /// Columns of a panel of B.
    pub cols: usize,
}

/// A batched product of operands that lie in panels.
pub(super) struct PanelProduct<'a> {
    /// Packed.
    pub a: &'a Buffer,
    /// Panels from one batch to the next in A; 0 where all batches share them.
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
    pub epilogue: &'a FusedEpilogue,
    pub out: View,
    /// The output's type.
    pub dtype: DType,
}

impl PanelSizes {
    /// The variant of every product whose rows don't matter: one, since a variant takes a second to compile.
    pub fn of(gpu: &Gpu) -> Self {
        let kernel = Kernel::new(&shaders::GEMM_PANELS, "main");
        let Some(lanes @ (4 | 8 | 16)) = gpu.subgroup().map(|lanes| lanes as usize) else {
            return Self { kernel: kernel.with(&shaders::LOAD_PLAIN), lanes: 8, rows: 16, cols: 64 };
        };
        let kernel = kernel.with(&shaders::LOAD_SUBGROUP).with(wide(gpu));
        Self { kernel, lanes, rows: (4 * lanes).min(32), cols: 8 * lanes }
    }

    /// The variant for many products of `m` rows: of few rows, not half of each panel is left empty.
    pub fn of_rows(gpu: &Gpu, m: usize) -> Self {
        let panels = Self::of(gpu);
        if m <= 16 { Self { rows: 16, ..panels } } else { panels }
    }

    /// Records the product.
    pub fn multiply(&self, gpu: &Gpu, product: PanelProduct<'_>) -> Result<()> {
        let (row_panels, col_panels) = (product.m.div_ceil(self.rows), product.n.div_ceil(self.cols));
        let PanelProduct { batches, m, n, k, splits, layout, .. } = product;
        let launch = launch(gpu, product.epilogue.choose(self.kernel))
            .alias("Out", product.dtype.wgsl())
            .constants([("LANES", self.lanes), ("ROWS", self.rows), ("COLS", self.cols)])
            .bind_all([("a", product.a.whole()), ("b", product.b.view), ("out", product.out)])
            .set_all([("batches", batches), ("splits", splits.count)])
            .set_all([("row_panels", row_panels), ("col_panels", col_panels)])
            .set_all([("m", m), ("n", n), ("k", k), ("k_per_split", splits.k)])
            .set_all([("a_batch", product.a_batch), ("b_offset", product.b.offset)])
            .set_all([("b_batch", product.b.batch), ("b_panel", product.b.panel), ("b_k", product.b.k)])
            .set_all([("c_split", product.c_split), ("c_batch", layout.c_batch), ("c_row", layout.c_row)])
            .set_all([("c_image", layout.c_image), ("plane", layout.plane)]);
        let launch = product.epilogue.bind(launch, product.dtype, Width::Four, &product.a.whole());
        let flops = 2 * (batches * m * n * k) as u64;
        let tiles = batches * row_panels * col_panels * splits.count;
        Ok(launch.max_iterations(splits.k / 4 + 4).flops(flops).groups(tiles).enqueue()?)
    }
}

/// Records the product: packs, panels, and the sum of partial products.
pub(in crate::products) fn enqueue(gpu: &Gpu, problem: &Problem<'_>) -> Result<()> {
    let sizes = PanelSizes::of(gpu);
    // Operands are packed with zeros to a multiple of four along k, which is what one pass of the kernel adds.
    let k4 = problem.k.next_multiple_of(4);
    let (row_panels, col_panels) = (problem.m.div_ceil(sizes.rows), problem.n.div_ceil(sizes.cols));
    let a = pack::pack_a(gpu, problem, sizes.rows, row_panels * k4)?;
    let b = columns(gpu, problem, &sizes, [row_panels, col_panels], k4)?;
    let splits = splits(k4, problem.batches * row_panels * col_panels, ENOUGH, 4);
    // What the kernel cannot store itself goes through a partial product of its own.
    let direct = splits.count == 1 && problem.layout.by(8, problem.n);
    let target = problem.target(gpu, &splits, direct)?;
    let product = PanelProduct {
        a: &a,
        a_batch: if problem.a.matrices == 1 { 0 } else { row_panels },
        b,
        batches: problem.batches,
        m: problem.m,
        n: target.n,
        k: k4,
        splits: &splits,
        layout: target.layout,
        c_split: target.c_split,
        epilogue: &target.epilogue,
        out: target.view.clone(),
        dtype: target.dtype,
    };
    sizes.multiply(gpu, product)?;
    problem.reduce(gpu, &target, &splits)
}

/// B in panels: as it lies in its tensor, if it can be read there and so few panels of A meet it that packing would not pay,
/// otherwise packed.
fn columns(
    gpu: &Gpu,
    problem: &Problem<'_>,
    sizes: &PanelSizes,
    [row_panels, col_panels]: [usize; 2],
    k: usize,
) -> Result<Columns> {
    let b = &problem.b;
    let in_place = match &b.layout {
        Some(PackLayout::Matrix(matrix)) if b.dtype == DType::F32 && row_panels <= FEW_READERS => {
            columns_in_place(matrix, &b.view, sizes.cols)
        }
        _ => None,
    };
    let columns = match in_place {
        Some(columns) => columns,
        None => {
            let packed = pack::pack_b(gpu, problem, sizes.cols, col_panels * k)?;
            Columns::packed(&packed, sizes.cols, col_panels, k)
        }
    };
    Ok(if b.matrices == 1 { Columns { batch: 0, ..columns } } else { columns })
}
