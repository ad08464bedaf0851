//! Where a product's operand lies, as plain data.

use wgrad_device::View;
use wgrad_device::shaders::{self, File};

use crate::shape::numel;
use crate::{DType, Error, Result, Tensor};

/// How one kind of product reads its operands.
pub(super) struct OperandKernels {
    /// Declares where their elements lie.
    pub file: &'static File,
    pub names: [&'static str; 2],
}

pub(super) static MATMUL: OperandKernels =
    OperandKernels { file: &shaders::OPERANDS_MATMUL, names: ["a", "b"] };
pub(super) static CONV2D_FORWARD: OperandKernels =
    OperandKernels { file: &shaders::OPERANDS_CONV2D_FORWARD, names: ["w", "x"] };
pub(super) static CONV2D_INPUT_GRAD: OperandKernels =
    OperandKernels { file: &shaders::OPERANDS_CONV2D_INPUT_GRAD, names: ["w", "dy"] };
pub(super) static CONV2D_WEIGHT_GRAD: OperandKernels =
    OperandKernels { file: &shaders::OPERANDS_CONV2D_WEIGHT_GRAD, names: ["x", "dy"] };

/// Where the elements of an operand that is a batch of matrices lie, counted in elements. A row is a row of A or a column of B.
/// Of convolutions `outer` is from image to image, `batch` from group to group, and `row` or `k` from one output channel of the
/// weight to the next; their kernels work out the rest from the geometry.
#[derive(Clone, Copy, Default)]
pub(super) struct Strides {
    /// First element within the view.
    pub offset: usize,
    /// Batches are `outer · inner + i`: from `outer` to `outer`, and from `i` to `i`.
    pub outer: usize,
    pub batch: usize,
    pub row: usize,
    pub k: usize,
}

impl Strides {
    /// Whether all batches share one matrix.
    pub fn is_shared(&self) -> bool {
        self.outer == 0 && self.batch == 0
    }
}

/// An operand of a product.
#[derive(Clone)]
pub(super) struct Operand {
    pub view: View,
    pub dtype: DType,
    /// Matrices that there are: 1 where all batches share it.
    pub matrices: usize,
    pub strides: Strides,
    /// How it lies, where one of the fast packs can read it.
    pub layout: Option<PackLayout>,
}

/// How an operand lies in memory, where a fast pack can read it.
#[derive(Clone, Copy)]
pub(super) enum PackLayout {
    Matrix(MatrixLayout),
    Image(ImageLayout),
}

/// `source[batch's matrix + row·s_row + (k / plane)·s_plane + (k % plane)·s_k]`, rows being rows of A or columns of B.
#[derive(Clone, Copy)]
pub(super) struct MatrixLayout {
    pub batches: usize,
    /// Batches of an inner run, and the strides of its matrices.
    pub inner: usize,
    pub strides: Strides,
    pub rows: usize,
    pub k: usize,
    pub plane: usize,
    pub s_plane: usize,
}

/// Windows of an image, all taps of all channels, at stride 1.
#[derive(Clone, Copy)]
pub(super) struct ImageLayout {
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

fn quads(values: &[usize]) -> bool {
    values.iter().all(|v| v.is_multiple_of(4))
}

impl MatrixLayout {
    /// Whether neighbours along k are neighbours in memory; `None` where the fast pack cannot read it.
    pub fn along_k(&self) -> Option<bool> {
        let Strides { offset, outer, batch, row, k } = self.strides;
        if !quads(&[offset, outer, batch, self.s_plane]) {
            None
        } else if k == 1 && quads(&[self.k, self.plane, row]) {
            Some(true)
        } else if row == 1 && quads(&[self.rows, k]) {
            Some(false)
        } else {
            None
        }
    }
}

impl PackLayout {
    /// A batch of matrices of `rows` × `k`.
    pub fn matrix(batches: usize, inner: usize, rows: usize, k: usize, strides: Strides) -> Option<Self> {
        let plane = k.next_multiple_of(4);
        Self::planes(MatrixLayout { batches, inner, strides, rows, k, plane, s_plane: 0 })
    }

    /// As [`PackLayout::matrix`], where k is cut into planes.
    pub fn planes(matrix: MatrixLayout) -> Option<Self> {
        matrix.along_k().map(|_| Self::Matrix(matrix))
    }

    /// Image windows, if rows are whole vec4 and the kernel is small: the pack holds a row of its window in registers.
    pub fn image(image: ImageLayout) -> Option<Self> {
        let small = image.kernel.iter().all(|&k| k <= 16) && image.dilation[1] * (image.kernel[1] - 1) <= 32;
        (small && quads(&[image.input[1], image.output[1]])).then_some(Self::Image(image))
    }
}

/// Images `first..first + count` of a contiguous `[n, c, h, w]` tensor.
pub(super) fn images(x: &Tensor, first: usize, count: usize) -> View {
    let image = (numel(&x.shape()[1..]) * x.dtype().size()) as u64;
    let whole = x.bind_padded();
    // Bindings are whole words; what lies behind an odd number of halves is the next image or padding.
    let size = (count as u64 * image).next_multiple_of(4);
    whole.buffer.view(whole.offset + first as u64 * image, size)
}

/// The type of two operands, both floats of one type.
pub(super) fn operand_type(op: &'static str, a: &Tensor, b: &Tensor) -> Result<DType> {
    if a.dtype() == b.dtype() && a.dtype().is_float() {
        return Ok(a.dtype());
    }
    let message = format!(
        "operands {:?} of {} and {:?} of {}: it takes two floats of one type; convert one with to_dtype",
        a.shape(),
        a.dtype(),
        b.shape(),
        b.dtype()
    );
    Err(Error::DType { op, message })
}

/// The type of a product's output: that asked for, or the operands'.
pub(super) fn output_type(op: &'static str, operands: DType, asked: Option<DType>) -> Result<DType> {
    match asked {
        Some(dtype) if !dtype.is_float() => {
            let message = format!("an output of {dtype} of operands of {operands}: products are f32 or f16");
            Err(Error::DType { op, message })
        }
        asked => Ok(asked.unwrap_or(operands)),
    }
}
