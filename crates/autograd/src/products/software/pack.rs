//! Operands packed into panels. The packs that suit an operand's memory read whole vec4 instead of single values, several times
//! faster than the general ones, which read any operand through its `operands/*.wgsl`.

use wgrad_device::shaders::{self, Kernel};
use wgrad_device::{Buffer, Gpu, Launch, View};

use crate::Result;
use crate::launch::launch;
use crate::products::operand::{ImageLayout, MatrixLayout, Operand, PackLayout, Strides};
use crate::products::problem::Problem;

/// Loop iterations of a fast pack at most: 16 × 16 taps and a window of 16 vec4, with room.
const PACK_TRIPS: usize = 1024;

/// Where the columns of B lie, in steps of eight floats.
pub(super) struct Columns {
    pub view: View,
    pub offset: usize,
    /// From batch to batch; 0 where all share a matrix.
    pub batch: usize,
    /// From panel to panel.
    pub panel: usize,
    /// From k to k.
    pub k: usize,
}

impl Columns {
    /// Packed into panels of `cols`, `panels` of them in each batch, with `k` padded to a multiple of 4.
    pub fn packed(packed: &Buffer, cols: usize, panels: usize, k: usize) -> Self {
        let panel = cols * k / 8;
        Self { view: packed.whole(), offset: 0, batch: panels * panel, panel, k: cols / 8 }
    }
}

/// A in panels of `rows`, `depth` values along k in all panels of a matrix together.
pub(super) fn pack_a(gpu: &Gpu, problem: &Problem<'_>, rows: usize, depth: usize) -> Result<Buffer> {
    let general = || {
        problem
            .launch(gpu, Kernel::new(&shaders::PACK_A, "main"))
            .constant("ROWS", rows)
            .set("m", problem.m)
            .bind(problem.kernels.names[0], problem.a.view.clone())
    };
    pack(gpu, &problem.a, true, [rows, depth], problem.k, general)
}

/// B in panels of `cols`, likewise.
pub(super) fn pack_b(gpu: &Gpu, problem: &Problem<'_>, cols: usize, depth: usize) -> Result<Buffer> {
    let general = || {
        problem
            .launch(gpu, Kernel::new(&shaders::PACK_B, "main"))
            .constant("COLS", cols)
            .set("n", problem.n)
            .bind(problem.kernels.names[1], problem.b.view.clone())
    };
    pack(gpu, &problem.b, false, [cols, depth], problem.k, general)
}

fn pack<'a>(
    gpu: &'a Gpu,
    operand: &Operand,
    as_a: bool,
    [edge, depth]: [usize; 2],
    k: usize,
    general: impl FnOnce() -> Launch<'a>,
) -> Result<Buffer> {
    let floats = operand.matrices * depth * edge;
    let packed = gpu.buffer(floats as u64 * 4)?;
    let launch = match &operand.layout {
        None => general().set_all([("matrices", operand.matrices), ("k", k)]).threads(floats / 4),
        Some(layout) => {
            // Loops over taps and window have constant bounds, but not all of them are unrolled.
            let launch = match layout {
                PackLayout::Matrix(matrix) => blocks(gpu, matrix, operand.view.clone()),
                PackLayout::Image(image) => windows(gpu, image, operand.view.clone()),
            };
            launch
                .alias("Element", operand.dtype.wgsl())
                .constants([("PANEL", edge), ("AS_A", usize::from(as_a))])
                .max_iterations(PACK_TRIPS)
        }
    };
    launch.bind("out", packed.whole()).enqueue()?;
    Ok(packed)
}

fn blocks<'a>(gpu: &'a Gpu, matrix: &MatrixLayout, source: View) -> Launch<'a> {
    let MatrixLayout { batches, inner, strides, rows, k, plane, s_plane } = *matrix;
    let Strides { offset, outer, batch, row, k: s_k } = strides;
    launch(gpu, Kernel::new(&shaders::PACK_BLOCKS, "main"))
        .constant("ALONG_K", usize::from(matrix.along_k() == Some(true)))
        .bind("source", source)
        .set_all([("batches", batches), ("inner", inner), ("rows", rows), ("k", k)])
        .set_all([("offset", offset), ("s_outer", outer), ("s_batch", batch), ("s_row", row)])
        .set_all([("s_k", s_k), ("plane", plane), ("s_plane", s_plane)])
        .threads(batches * rows.div_ceil(4) * k.div_ceil(4))
}

fn windows<'a>(gpu: &'a Gpu, i: &ImageLayout, source: View) -> Launch<'a> {
    let rows = i.output[0] + (i.kernel[0] - 1) * i.dilation[0];
    launch(gpu, Kernel::new(&shaders::PACK_IMAGE, "main"))
        .bind("x", source)
        .constants([("GROUPS", i.groups), ("CHANNELS", i.channels)])
        .constants([("H", i.input[0]), ("W", i.input[1])])
        .constants([("OH", i.output[0]), ("OW", i.output[1])])
        .constants([("KH", i.kernel[0]), ("KW", i.kernel[1])])
        .constants([("PAD_H", i.padding[0]), ("PAD_W", i.padding[1])])
        .constants([("DILATION_H", i.dilation[0]), ("DILATION_W", i.dilation[1])])
        .constant("FLIP", usize::from(i.flip))
        .set("images", i.images)
        .threads(i.groups * i.images * i.channels * rows * (i.output[1] / 4))
}

/// Panels of `cols` columns of B as they lie in the tensor, if eight columns lie side by side. Columns and k then end where the
/// tensor does.
pub(super) fn columns_in_place(matrix: &MatrixLayout, view: &View, cols: usize) -> Option<Columns> {
    let MatrixLayout { batches, inner, strides, rows, k, plane, .. } = *matrix;
    let eights = [rows, strides.offset, strides.batch, strides.k].iter().all(|v| v.is_multiple_of(8));
    let in_place = eights && inner >= batches && strides.row == 1 && plane >= k && k.is_multiple_of(4);
    let (offset, batch) = (strides.offset / 8, strides.batch / 8);
    in_place.then(|| Columns { view: view.clone(), offset, batch, panel: cols / 8, k: strides.k / 8 })
}
