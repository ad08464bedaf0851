//! The sizes of a convolution, and its three products as plain data.

use wgrad_device::{Gpu, View};

use super::epilogue::FusedEpilogue;
use super::operand::{self, ImageLayout, MatrixLayout, Operand, OperandKernels, PackLayout, Strides};
use super::problem::{Layout, Problem};
use crate::{DType, Error, Result};

/// Options of [`Tensor::conv2d`](crate::Tensor::conv2d), each pair `[height, width]`; the default is PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dOptions {
    /// Step from output pixel to output pixel.
    pub stride: [usize; 2],
    /// Zeros around the image.
    pub padding: [usize; 2],
    /// Step from kernel element to kernel element.
    pub dilation: [usize; 2],
    /// Groups of channels that don't see each other.
    pub groups: usize,
}

impl Default for Conv2dOptions {
    fn default() -> Self {
        Self { stride: [1; 2], padding: [0; 2], dilation: [1; 2], groups: 1 }
    }
}

/// The three products of a convolution, each of which has the other two as gradients.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ConvPass {
    /// y of w and x.
    Forward,
    /// dx of w and dy.
    InputGrad,
    /// dw of x and dy.
    WeightGrad,
}

impl ConvPass {
    fn kernels(self) -> &'static OperandKernels {
        match self {
            Self::Forward => &operand::CONV2D_FORWARD,
            Self::InputGrad => &operand::CONV2D_INPUT_GRAD,
            Self::WeightGrad => &operand::CONV2D_WEIGHT_GRAD,
        }
    }
}

/// The sizes of a convolution.
#[derive(Clone, Copy)]
pub(super) struct ConvGeometry {
    pub options: Conv2dOptions,
    pub images: usize,
    /// Channels of one group.
    pub c_in: usize,
    pub c_out: usize,
    pub input: [usize; 2],
    pub output: [usize; 2],
    pub kernel: [usize; 2],
}

impl ConvGeometry {
    pub fn new(op: &'static str, x: &[usize], w: &[usize], options: Conv2dOptions) -> Result<Self> {
        let error = |message: String| Err(Error::shape(op, message));
        let (&[images, c, h, width], &[oc, c_in, kh, kw]) = (x, w) else {
            return error(format!(
                "input {:?} and weight {:?}; expected [n, c, h, w] and [out, c/groups, kh, kw]",
                x, w
            ));
        };
        let Conv2dOptions { stride, padding, dilation, groups } = options;
        // Beyond 65,535 the sizes of a padded image would leave 32 bits.
        let sizes = [stride, padding, dilation, [kh, kw]].concat();
        if stride.contains(&0)
            || dilation.contains(&0)
            || [groups, kh, kw].contains(&0)
            || sizes.iter().any(|&n| n > 65_535)
        {
            return error(format!(
                "{options:?}: stride, dilation, groups and the kernel {kh} × {kw} are at least 1, and none over 65,535"
            ));
        }
        if (kh - 1) * dilation[0] > 65_535 || (kw - 1) * dilation[1] > 65_535 || groups > oc {
            return error(format!(
                "{options:?}: a kernel {kh} × {kw} reaches over 65,535 pixels, or more groups than outputs"
            ));
        }
        if c == 0 || h == 0 || width == 0 {
            return error(format!("an input {x:?} without channels or pixels"));
        }
        if c != c_in * groups || oc % groups != 0 {
            return error(format!(
                "input {:?} and weight {:?} in {groups} group(s): {c} channels ≠ {groups} × {c_in}, or {oc} outputs don't divide",
                x, w
            ));
        }
        let size = |d: usize, n: usize, k: usize| {
            (n + 2 * padding[d]).checked_sub(dilation[d] * (k - 1) + 1).map(|rest| rest / stride[d] + 1)
        };
        let (Some(oh), Some(ow)) = (size(0, h, kh), size(1, width, kw)) else {
            return error(format!(
                "a kernel {:?} with {options:?} is larger than the padded input {:?}",
                w, x
            ));
        };
        let (input, output, kernel) = ([h, width], [oh, ow], [kh, kw]);
        Ok(Self { options, images, c_in, c_out: oc / groups, input, output, kernel })
    }

    /// The constants of the operands' files. The numbers of channels are none, so that layers of one size share kernels.
    pub fn constants(&self) -> [(&'static str, usize); 12] {
        let Conv2dOptions { stride, padding, dilation, .. } = self.options;
        [
            ("H", self.input[0]),
            ("W", self.input[1]),
            ("OH", self.output[0]),
            ("OW", self.output[1]),
            ("KH", self.kernel[0]),
            ("KW", self.kernel[1]),
            ("STRIDE_H", stride[0]),
            ("STRIDE_W", stride[1]),
            ("PAD_H", padding[0]),
            ("PAD_W", padding[1]),
            ("DILATION_H", dilation[0]),
            ("DILATION_W", dilation[1]),
        ]
    }

    /// Whether it is the plain kind that Winograd's transforms are for.
    pub fn is_3_by_3(&self) -> bool {
        let plain = Conv2dOptions { padding: [1, 1], ..Conv2dOptions::default() };
        self.kernel == [3, 3] && self.options == plain
    }

    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    fn in_pixels(&self) -> usize {
        self.input[0] * self.input[1]
    }

    fn out_pixels(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Elements of an image of the input.
    fn input_len(&self) -> usize {
        self.options.groups * self.c_in * self.in_pixels()
    }

    /// Elements of an image of the output.
    fn output_len(&self) -> usize {
        self.options.groups * self.c_out * self.out_pixels()
    }

    pub fn input_shape(&self) -> [usize; 4] {
        [self.images, self.options.groups * self.c_in, self.input[0], self.input[1]]
    }

    pub fn output_shape(&self) -> [usize; 4] {
        [self.images, self.options.groups * self.c_out, self.output[0], self.output[1]]
    }

    pub fn weight_shape(&self) -> [usize; 4] {
        [self.options.groups * self.c_out, self.c_in, self.kernel[0], self.kernel[1]]
    }

    /// The shape of what this pass makes.
    pub fn shape_of(&self, pass: ConvPass) -> [usize; 4] {
        match pass {
            ConvPass::Forward => self.output_shape(),
            ConvPass::InputGrad => self.input_shape(),
            ConvPass::WeightGrad => self.weight_shape(),
        }
    }

    /// Input and output of four-byte elements, and with `pooled` the mask of the pooled output, may be bound from every multiple
    /// of this many images on.
    pub fn step(&self, gpu: &Gpu, pooled: bool) -> usize {
        self.step_of(gpu, pooled, 4)
    }

    fn step_of(&self, gpu: &Gpu, pooled: bool, bytes: usize) -> usize {
        let align = (gpu.limits().min_storage_buffer_offset_alignment as usize / bytes).max(4);
        let aligned = |step: usize| {
            // One word for four windows of four pixels.
            let words = if pooled { self.output_len() / 16 } else { 0 };
            [self.input_len(), self.output_len(), words].iter().all(|n| (step * n).is_multiple_of(align))
        };
        (1..align).find(|&step| aligned(step)).unwrap_or(align)
    }

    /// Ranges of images whose packed operands stay within `workspace` bytes, where packing is what is done. Parts begin where
    /// tensors with elements of `bytes` and more may be bound.
    pub fn parts(&self, gpu: &Gpu, pass: ConvPass, bytes: usize, workspace: usize) -> Vec<(usize, usize)> {
        let step = self.step_of(gpu, false, bytes);
        let fit = workspace / 4 / self.packed(pass).max(1);
        let part = (fit / step * step).max(step);
        (0..self.images).step_by(part).map(|first| (first, part.min(self.images - first))).collect()
    }

    /// Floats that are packed of an image, both operands together where both are as long as its pixels.
    fn packed(&self, pass: ConvPass) -> usize {
        let groups = self.options.groups;
        match pass {
            ConvPass::Forward => groups * self.c_in * self.taps() * self.out_pixels(),
            ConvPass::InputGrad => groups * self.c_out * self.taps() * self.in_pixels(),
            ConvPass::WeightGrad => {
                let edges = (self.c_in * self.taps()).next_multiple_of(64) + self.c_out.next_multiple_of(64);
                groups * self.out_pixels() * edges
            }
        }
    }

    /// Bytes that the products pack of the fewest images that make a part.
    pub fn packed_bytes(&self, gpu: &Gpu, bytes: usize) -> u64 {
        let passes = [ConvPass::Forward, ConvPass::InputGrad, ConvPass::WeightGrad];
        let image = passes.map(|pass| self.packed(pass)).into_iter().max().unwrap_or(0);
        self.step_of(gpu, false, bytes).min(self.images) as u64 * image as u64 * 4
    }

    pub fn with_images(self, images: usize) -> Self {
        Self { images, ..self }
    }

    /// How the operands of a product with this `k` lie in memory, where a fast pack can read them.
    fn layouts(&self, pass: ConvPass, k: usize) -> [Option<PackLayout>; 2] {
        let Conv2dOptions { stride, padding, dilation, groups } = self.options;
        let has_windows = stride == [1, 1];
        let of_input = ImageLayout {
            images: self.images,
            groups,
            channels: self.c_in,
            input: self.input,
            output: self.output,
            kernel: self.kernel,
            padding,
            dilation,
            flip: false,
        };
        let windows = |image: ImageLayout| if has_windows { PackLayout::image(image) } else { None };
        match pass {
            ConvPass::Forward => {
                let strides = Strides { batch: self.c_out * k, row: k, k: 1, ..Strides::default() };
                [PackLayout::matrix(groups, groups, self.c_out, k, strides), windows(of_input)]
            }
            ConvPass::InputGrad => {
                // The gradient is a convolution of dy with the kernel turned around, padded by what is left.
                let left = |d: usize| (dilation[d] * (self.kernel[d] - 1)).checked_sub(padding[d]);
                let of_output = |(h, w)| ImageLayout {
                    channels: self.c_out,
                    input: self.output,
                    output: self.input,
                    padding: [h, w],
                    flip: true,
                    ..of_input
                };
                [None, left(0).zip(left(1)).and_then(|padding| windows(of_output(padding)))]
            }
            ConvPass::WeightGrad => {
                let (rows, plane) = (self.c_out, self.out_pixels());
                let strides = Strides { batch: rows * plane, row: plane, k: 1, ..Strides::default() };
                let s_plane = groups * rows * plane;
                let dy = MatrixLayout { batches: groups, inner: groups, strides, rows, k, plane, s_plane };
                [windows(of_input), PackLayout::planes(dy)]
            }
        }
    }

    /// The product of a pass over all these images: of the operands in the order of [`ConvPass`], with their types.
    pub fn problem<'a>(
        &self,
        pass: ConvPass,
        constants: &'a [(&'static str, usize)],
        operands: [(View, DType); 2],
        (out, dtype): (View, DType),
        epilogue: FusedEpilogue,
    ) -> Problem<'a> {
        let groups = self.options.groups;
        let rows_of_channels = |channels: usize, pixels: usize, image: usize| Layout {
            c_batch: channels * pixels,
            c_row: pixels,
            c_image: image,
            plane: pixels,
            c_col: 1,
        };
        let (m, n, k, layout) = match pass {
            ConvPass::Forward => {
                let p = self.out_pixels();
                let layout = rows_of_channels(self.c_out, p, self.output_len());
                (self.c_out, self.images * p, self.c_in * self.taps(), layout)
            }
            ConvPass::InputGrad => {
                let p = self.in_pixels();
                let layout = rows_of_channels(self.c_in, p, self.input_len());
                (self.c_in, self.images * p, self.c_out * self.taps(), layout)
            }
            ConvPass::WeightGrad => {
                // Computed transposed, rows = weights of an output channel: the layout turns it back.
                let (m, n) = (self.c_in * self.taps(), self.c_out);
                let layout = Layout { c_batch: m * n, c_row: 1, c_image: 0, plane: n, c_col: m };
                (m, n, self.images * self.out_pixels(), layout)
            }
        };
        // How far apart in memory the kernels' parameters say that groups, images and channels of the weight lie.
        let of_w = Strides { batch: self.c_out * self.c_in * self.taps(), ..Strides::default() };
        let row_of_w = self.c_in * self.taps();
        let of_x =
            Strides { outer: self.input_len(), batch: self.input_len() / groups, ..Strides::default() };
        let of_y =
            Strides { outer: self.output_len(), batch: self.output_len() / groups, ..Strides::default() };
        let [a_strides, b_strides] = match pass {
            ConvPass::Forward => [Strides { row: row_of_w, ..of_w }, of_x],
            ConvPass::InputGrad => [Strides { k: row_of_w, ..of_w }, of_y],
            ConvPass::WeightGrad => [of_x, of_y],
        };
        let [of_a, of_b] = self.layouts(pass, k);
        let [(a, a_type), (b, b_type)] = operands;
        let operand =
            |view, dtype, strides, layout| Operand { view, dtype, matrices: groups, strides, layout };
        Problem {
            kernels: pass.kernels(),
            a: operand(a, a_type, a_strides, of_a),
            b: operand(b, b_type, b_strides, of_b),
            constants,
            batches: groups,
            inner: groups,
            m,
            n,
            k,
            layout,
            epilogue,
            out,
            dtype,
        }
    }
}
