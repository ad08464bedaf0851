//! Products as launches. Matmul and the three products of conv2d are one batched C = A · B with different
//! operands (`operands/*.wgsl`); this file chooses kernels and splits for it, `tile.rs` the tiles of the `gpu` family.
//!
//! The `cpu` family packs operands into strips and multiplies strips in registers (`gemm_strips.wgsl`);
//! the `gpu` family multiplies tiles in workgroup memory straight from the tensors (`gemm_tile.wgsl`).
//! Both split long sums over k into partial products, added in a fixed order (`reduce_splits.wgsl`).

use wgrad_device::shaders::{self, File, Kernel};
use wgrad_device::{Buffer, Family, Gpu, Launch, View};

use crate::DType;
use crate::Result;
use crate::launch::launch;
use crate::pack::Fast;
use crate::strips::{Columns, StripProduct, Strips};

/// Longest sum that one invocation adds up; below the loop limit of software adapters, and short enough for
/// the rounding of a plain f32 sum.
pub(crate) const LONGEST_SUM: usize = 16_384;

/// Loop iterations of a fast pack at most: 16 × 16 taps and a window of 16 vec4, with room.
const PACK_TRIPS: usize = 1024;

/// Rows of partial products are padded to whole stores of either family.
const PARTIAL_COLUMNS: usize = 8;

/// Strips of A for which B is read where it lies: with more of them it pays to pack it first.
const FEW_READERS: usize = 8;

/// Workgroups that keep a software adapter busy: more tiles than this and splitting gains nothing.
const CPU_ENOUGH: usize = 8;

/// How one kind of product reads its operands.
pub(crate) struct Operands {
    /// Declares where their elements lie.
    pub file: &'static File,
    pub names: [&'static str; 2],
}

pub(crate) static MATMUL: Operands = Operands { file: &shaders::OPERANDS_MATMUL, names: ["a", "b"] };
pub(crate) static CONV2D_FORWARD: Operands =
    Operands { file: &shaders::OPERANDS_CONV2D_FORWARD, names: ["w", "x"] };
pub(crate) static CONV2D_INPUT_GRAD: Operands =
    Operands { file: &shaders::OPERANDS_CONV2D_INPUT_GRAD, names: ["w", "dy"] };
pub(crate) static CONV2D_WEIGHT_GRAD: Operands =
    Operands { file: &shaders::OPERANDS_CONV2D_WEIGHT_GRAD, names: ["x", "dy"] };

/// A bias added to the product.
#[derive(Clone)]
pub(crate) enum Bias {
    None,
    /// One value a row of C, `[batches · m]`: a convolution's.
    Row(View),
    /// One value a column of C, `[n]`: a linear layer's.
    Col(View),
}

impl Bias {
    /// As the strip kernel knows it: 0 for none, 1 of rows, 2 of columns.
    pub(crate) fn index(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Row(_) => 1,
            Self::Col(_) => 2,
        }
    }

    /// The file that adds it.
    pub(crate) fn file(&self) -> &'static File {
        match self {
            Self::None => &shaders::BIAS_NONE,
            Self::Row(_) => &shaders::BIAS_ROW,
            Self::Col(_) => &shaders::BIAS_COL,
        }
    }

    /// What is left of it for a product that begins at this column.
    pub(crate) fn columns_from(&self, first: usize) -> Self {
        let Self::Col(view) = self else { return self.clone() };
        let bytes = first as u64 * 4;
        Self::Col(view.buffer.view(view.offset + bytes, view.size - bytes))
    }

    pub(crate) fn column(&self) -> Option<&View> {
        match self {
            Self::None => None,
            Self::Row(view) | Self::Col(view) => Some(view),
        }
    }

    pub(crate) fn bind<'a>(&self, launch: Launch<'a>) -> Launch<'a> {
        match self.column() {
            None => launch,
            Some(view) => launch.bind("bias", view.clone()),
        }
    }
}

/// Where C lies in the output: `batch·c_batch + row·c_row + (col / plane)·c_image + (col % plane)·c_col`.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    pub c_batch: usize,
    pub c_row: usize,
    pub c_image: usize,
    pub plane: usize,
    pub c_col: usize,
}

impl Layout {
    /// Row-major `[batches, m, n]`.
    pub(crate) fn rows(m: usize, n: usize) -> Self {
        Self { c_batch: m * n, c_row: n, c_image: 0, plane: n, c_col: 1 }
    }

    /// Whether C can be stored by this many columns at once.
    fn by(&self, columns: usize, n: usize) -> bool {
        let sizes = [n, self.plane, self.c_row, self.c_batch, self.c_image];
        self.c_col == 1 && sizes.iter().all(|size| size.is_multiple_of(columns))
    }

    /// The file that stores C.
    pub(crate) fn store(&self, n: usize) -> &'static File {
        if self.by(4, n) { &shaders::STORE_VEC4 } else { &shaders::STORE_SCALAR }
    }

    pub(crate) fn set<'a>(&self, launch: Launch<'a>) -> Launch<'a> {
        let Self { c_batch, c_row, c_image, plane, c_col } = *self;
        launch
            .set_all([("c_batch", c_batch), ("c_row", c_row), ("c_image", c_image)])
            .set_all([("plane", plane), ("c_col", c_col)])
    }
}

/// A batched product to be launched.
pub(crate) struct Product<'a> {
    pub gpu: &'a Gpu,
    /// What both operands are made of; the output is f32.
    pub element: DType,
    pub operands: &'static Operands,
    pub views: [View; 2],
    /// How the operands lie in memory, where a fast pack can read them.
    pub fast: [Option<Fast>; 2],
    /// Constants of the operands' file.
    pub constants: &'a [(&'static str, usize)],
    /// From batch to batch, line to line (a row of A, a column of B) and k to k; what image operands don't look at.
    pub strides: [[usize; 3]; 2],
    pub batches: usize,
    /// Matrices that exist of each operand: 1 where all batches share it.
    pub matrices: [usize; 2],
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub layout: Layout,
    pub bias: Bias,
    /// Whether a ReLU follows; of the `cpu` family only.
    pub relu: bool,
    pub out: View,
}

impl Product<'_> {
    pub(crate) fn enqueue(self) -> Result<()> {
        match self.gpu.family() {
            Family::Cpu => self.record_strips(),
            Family::Gpu => self.record_tiles(),
        }
    }

    /// Two for a multiply-add.
    pub(crate) fn flops(&self) -> u64 {
        2 * (self.batches * self.m * self.n * self.k) as u64
    }

    /// The launch of a kernel that reads the operands.
    pub(crate) fn launch(&self, kernel: Kernel<'static>) -> Launch<'_> {
        let [[a_batch, a_row, a_k], [b_batch, b_col, b_k]] = self.strides;
        launch(self.gpu, kernel)
            .alias("Element", self.element.wgsl())
            .constants(self.constants.iter().copied())
            .set_all([("a_batch", a_batch), ("a_row", a_row), ("a_k", a_k)])
            .set_all([("b_batch", b_batch), ("b_col", b_col), ("b_k", b_k)])
    }

    fn record_strips(self) -> Result<()> {
        let strips = Strips::of(self.gpu);
        // Operands are packed with zeros to a multiple of four along k, which is what one pass of the kernel adds.
        let k4 = self.k.next_multiple_of(4);
        let (row_strips, col_strips) = (self.m.div_ceil(strips.rows), self.n.div_ceil(strips.cols));
        let a = self.pack(0, strips.rows, row_strips * k4)?;
        let b = self.columns(strips.cols, [row_strips, col_strips], k4)?;
        let tiles = self.batches * row_strips * col_strips;
        let splits = splits(k4, tiles, CPU_ENOUGH, 4);
        // What the strip kernel cannot store itself goes through a partial product of its own.
        let direct = splits.count == 1 && self.layout.by(8, self.n);
        let target = self.target(&splits, direct)?;
        strips.multiply(
            self.gpu,
            StripProduct {
                a: &a,
                a_batch: if self.matrices[0] == 1 { 0 } else { row_strips },
                b,
                batches: self.batches,
                m: self.m,
                n: target.n,
                k: k4,
                splits: &splits,
                layout: target.layout,
                c_split: target.c_split(self.batches),
                bias: target.bias,
                relu: direct && self.relu,
                out: target.view.clone(),
            },
        )?;
        self.reduce(target.partial.as_ref(), &splits)
    }

    /// B in strips of `cols`: as it lies in its tensor, if it can be read there and so few strips of A meet it that packing
    /// would not pay, otherwise packed.
    fn columns(&self, cols: usize, [row_strips, col_strips]: [usize; 2], k: usize) -> Result<Columns> {
        let in_place = match &self.fast[1] {
            Some(Fast::Matrix(matrix)) if self.element == DType::F32 && row_strips <= FEW_READERS => {
                matrix.columns_in_place(&self.views[1], cols)
            }
            _ => None,
        };
        let columns = match in_place {
            Some(columns) => columns,
            None => Columns::packed(&self.pack(1, cols, col_strips * k)?, cols, col_strips, k),
        };
        Ok(if self.matrices[1] == 1 { Columns { batch: 0, ..columns } } else { columns })
    }

    /// Operand 0 (A) or 1 (B) in strips of `edge`, `depth` values along k in all strips of a matrix together.
    fn pack(&self, operand: usize, edge: usize, depth: usize) -> Result<Buffer> {
        let floats = self.matrices[operand] * depth * edge;
        let packed = self.gpu.buffer(floats as u64 * 4)?;
        let view = self.views[operand].clone();
        let launch = match &self.fast[operand] {
            Some(fast) => {
                let chosen = fast.chosen();
                let launch = launch(self.gpu, Kernel::new(chosen.file, "main"));
                let launch = fast.sizes(launch.alias("Element", self.element.wgsl()), operand == 0);
                // Loops over taps and window have constant bounds, but not all of them are unrolled.
                let launch =
                    launch.constant("STRIP", edge).bind(chosen.source, view).max_iterations(PACK_TRIPS);
                launch.threads(chosen.threads)
            }
            None => {
                let (file, constant, lines) = match operand {
                    0 => (&shaders::PACK_A, "ROWS", ("m", self.m)),
                    _ => (&shaders::PACK_B, "COLS", ("n", self.n)),
                };
                self.launch(Kernel::new(file, "main").with(self.operands.file))
                    .constant(constant, edge)
                    .bind(self.operands.names[operand], view)
                    .set_all([("matrices", self.matrices[operand]), lines, ("k", self.k)])
                    .threads(floats / 4)
            }
        };
        launch.bind("out", packed.whole()).enqueue()?;
        Ok(packed)
    }

    /// Where the product kernel writes: the output itself, or a buffer of partial products without bias.
    pub(crate) fn target(&self, splits: &Splits, direct: bool) -> Result<Target<'_>> {
        if direct {
            let (view, layout, bias) = (self.out.clone(), self.layout, &self.bias);
            return Ok(Target { partial: None, view, layout, bias, n: self.n });
        }
        let n = self.n.next_multiple_of(PARTIAL_COLUMNS);
        let buffer = self.gpu.buffer((splits.count * self.batches * self.m * n) as u64 * 4)?;
        let (view, layout) = (buffer.whole(), Layout::rows(self.m, n));
        Ok(Target { partial: Some(buffer), view, layout, bias: &Bias::None, n })
    }

    pub(crate) fn reduce(&self, partial: Option<&Buffer>, splits: &Splits) -> Result<()> {
        let Some(partial) = partial else { return Ok(()) };
        let padded = self.n.next_multiple_of(PARTIAL_COLUMNS);
        let kernel = Kernel::new(&shaders::REDUCE_SPLITS, "main");
        let launch = launch(self.gpu, kernel.with(self.layout.store(self.n)).with(self.bias.file()))
            .bind_all([("partial", partial.whole()), ("out", self.out.clone())])
            .set_all([("batches", self.batches), ("splits", splits.count), ("m", self.m), ("n", self.n)])
            .set_all([("padded", padded), ("relu", usize::from(self.relu))]);
        let launch = self.layout.set(self.bias.bind(launch));
        Ok(launch.max_iterations(splits.count).threads(self.batches * self.m * padded / 4).enqueue()?)
    }
}

/// What a product kernel writes to.
pub(crate) struct Target<'a> {
    pub partial: Option<Buffer>,
    pub view: View,
    pub layout: Layout,
    pub bias: &'a Bias,
    pub n: usize,
}

impl Target<'_> {
    /// Floats from one split's partial product to the next.
    pub(crate) fn c_split(&self, batches: usize) -> usize {
        if self.partial.is_some() { batches * self.layout.c_batch } else { 0 }
    }
}

/// A sum over k in `count` parts of at most `k` terms.
pub(crate) struct Splits {
    pub count: usize,
    pub k: usize,
}

/// How a sum over `k` is split: never longer than [`LONGEST_SUM`], and short enough that `tiles` workgroups
/// times the splits make `enough`, as long as each split still adds 256 terms.
pub(crate) fn splits(k: usize, tiles: usize, enough: usize, multiple: usize) -> Splits {
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
