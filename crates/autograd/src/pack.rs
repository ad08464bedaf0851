//! The packs that suit an operand's memory: whole vec4 instead of single values, several times faster than the
//! general packs, which read any operand through its `operands/*.wgsl`.

use wgrad_device::shaders::{self, File};
use wgrad_device::{Launch, View};

use crate::strips::Columns;

/// How an operand lies in memory, where a fast pack can read it.
#[derive(Clone, Copy)]
pub(crate) enum Fast {
    Matrix(Matrix),
    Image(Image),
}

/// `source[batch·s_batch + line·s_line + (k / plane)·s_plane + (k % plane)·s_k]`, lines being rows of A or columns
/// of B.
#[derive(Clone, Copy)]
pub(crate) struct Matrix {
    pub batches: usize,
    pub lines: usize,
    pub k: usize,
    pub s_batch: usize,
    pub s_line: usize,
    pub s_k: usize,
    pub plane: usize,
    pub s_plane: usize,
}

/// Windows of an image, all taps of all channels, at stride 1.
#[derive(Clone, Copy)]
pub(crate) struct Image {
    pub images: usize,
    pub groups: usize,
    pub channels: usize,
    pub input: [usize; 2],
    pub output: [usize; 2],
    pub kernel: [usize; 2],
    pub padding: [usize; 2],
    pub dilation: [usize; 2],
    /// Taps in reverse order, as the input gradient wants them.
    pub flip: bool,
}

/// A pack that was chosen: fill in `STRIP` and `out`.
pub(crate) struct Chosen {
    pub file: &'static File,
    pub source: &'static str,
    pub threads: usize,
}

fn whole(values: &[usize]) -> bool {
    values.iter().all(|v| v.is_multiple_of(4))
}

impl Matrix {
    /// Whether neighbours along k are neighbours in memory; `None` where the fast pack cannot read it.
    fn along_k(&self) -> Option<bool> {
        if self.s_k == 1 && whole(&[self.k, self.plane, self.s_line, self.s_batch, self.s_plane]) {
            Some(true)
        } else if self.s_line == 1 && whole(&[self.lines, self.s_k, self.s_batch, self.s_plane]) {
            Some(false)
        } else {
            None
        }
    }

    /// Strips of `cols` lines, the columns of B, as they lie in the tensor, if eight columns lie side by side. Columns and k
    /// then end where the tensor does.
    pub(crate) fn columns_in_place(&self, view: &View, cols: usize) -> Option<Columns> {
        let Self { lines, k, s_batch, s_line, s_k, plane, .. } = *self;
        let eights = [lines, s_batch, s_k].iter().all(|v| v.is_multiple_of(8));
        let in_place = eights && s_line == 1 && plane >= k && k.is_multiple_of(4);
        in_place.then(|| Columns { view: view.clone(), batch: s_batch / 8, strip: cols / 8, k: s_k / 8 })
    }
}

impl Fast {
    /// The matrix of `lines` × `k` with these strides.
    pub(crate) fn matrix(
        batches: usize,
        lines: usize,
        k: usize,
        [s_batch, s_line, s_k]: [usize; 3],
    ) -> Option<Self> {
        let plane = k.next_multiple_of(4);
        let matrix = Matrix { batches, lines, k, s_batch, s_line, s_k, plane, s_plane: 0 };
        Self::planes(matrix)
    }

    /// As [`Fast::matrix`], where k is cut into planes.
    pub(crate) fn planes(matrix: Matrix) -> Option<Self> {
        matrix.along_k().map(|_| Self::Matrix(matrix))
    }

    /// Image windows, if rows are whole vec4 and the kernel is small: the pack holds a row of its window in registers.
    pub(crate) fn image(image: Image) -> Option<Self> {
        let small = image.kernel.iter().all(|&k| k <= 16) && image.dilation[1] * (image.kernel[1] - 1) <= 32;
        (small && whole(&[image.input[1], image.output[1]])).then_some(Self::Image(image))
    }

    pub(crate) fn chosen(&self) -> Chosen {
        match self {
            Self::Matrix(m) => {
                let threads = m.batches * m.lines.div_ceil(4) * m.k.div_ceil(4);
                Chosen { file: &shaders::PACK_BLOCKS, source: "source", threads }
            }
            Self::Image(i) => {
                let rows = i.output[0] + (i.kernel[0] - 1) * i.dilation[0];
                let threads = i.groups * i.images * i.channels * rows * (i.output[1] / 4);
                Chosen { file: &shaders::PACK_IMAGE, source: "x", threads }
            }
        }
    }

    /// The pack's sizes; `as_a` says for which operand.
    pub(crate) fn sizes<'a>(&self, launch: Launch<'a>, as_a: bool) -> Launch<'a> {
        let launch = launch.constant("AS_A", usize::from(as_a));
        match self {
            Self::Matrix(m) => launch
                .constant("ALONG_K", usize::from(m.along_k() == Some(true)))
                .set_all([("batches", m.batches), ("lines", m.lines), ("k", m.k)])
                .set_all([("s_batch", m.s_batch), ("s_line", m.s_line), ("s_k", m.s_k)])
                .set_all([("plane", m.plane), ("s_plane", m.s_plane)]),
            Self::Image(i) => launch
                .constants([("GROUPS", i.groups), ("CHANNELS", i.channels)])
                .constants([("H", i.input[0]), ("W", i.input[1])])
                .constants([("OH", i.output[0]), ("OW", i.output[1])])
                .constants([("KH", i.kernel[0]), ("KW", i.kernel[1])])
                .constants([("PAD_H", i.padding[0]), ("PAD_W", i.padding[1])])
                .constants([("DILATION_H", i.dilation[0]), ("DILATION_W", i.dilation[1])])
                .constant("FLIP", usize::from(i.flip))
                .set("images", i.images),
        }
    }
}
