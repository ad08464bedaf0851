//! 2-D convolution (cross-correlation, as everywhere in the field) as three products: `gemm.rs`.

use wgrad_device::{Family, Gpu};

use crate::gemm::{self, Bias, Layout, Operands, Product};
use crate::ops::unary::relu_backward;
use crate::pack::{Fast, Image, Matrix};
use crate::shape::numel;
use crate::windows::Winners;
use crate::winograd::{self, Winograd};
use crate::{DType, Error, Op, Pool2dOptions, Result, Tensor};

/// Options of [`Tensor::conv2d`], each pair `[height, width]`; the default is PyTorch's.
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

/// What follows a convolution in the same op, in this order.
///
/// Where the convolution's kernels can do it on the way, the image in between is never written; elsewhere it takes kernels of
/// its own. Either way the values are those of `conv2d`, `relu` and `max_pool2d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epilogue {
    /// A ReLU.
    pub relu: bool,
    /// Max pooling over 2 × 2 windows; the first of equal maxima gets the gradient.
    pub max_pool: bool,
}

/// Packed operands may take this many bytes; larger batches are computed in parts. What fits the caches need not be larger,
/// and it counts in the peak memory of a step.
const WORKSPACE: u64 = 8 << 20;

/// The sizes of a convolution.
#[derive(Clone, Copy)]
pub(crate) struct Geometry {
    options: Conv2dOptions,
    /// What the operands are made of.
    element: DType,
    images: usize,
    /// Channels of one group.
    c_in: usize,
    c_out: usize,
    input: [usize; 2],
    output: [usize; 2],
    kernel: [usize; 2],
}

impl Geometry {
    pub(crate) fn new(element: DType, x: &[usize], w: &[usize], options: Conv2dOptions) -> Result<Self> {
        let error = |message: String| Err(Error::shape("conv2d", message));
        let (&[images, c, h, width], &[oc, c_in, kh, kw]) = (x, w) else {
            return error(format!(
                "input {:?} and weight {:?}; expected [n, c, h, w] and [out, c/groups, kh, kw]",
                x, w
            ));
        };
        let Conv2dOptions { stride, padding, dilation, groups } = options;
        // Beyond 65,535 the sizes of a padded image would leave 32 bits.
        let sizes = [stride, padding, dilation, [kh, kw]].concat();
        if stride.contains(&0) || dilation.contains(&0) || groups == 0 || sizes.iter().any(|&n| n > 65_535) {
            return error(format!(
                "{options:?}: stride, dilation and groups are at least 1, and none, nor the kernel {kh} × {kw}, over 65,535"
            ));
        }
        if (kh - 1) * dilation[0] > 65_535 || (kw - 1) * dilation[1] > 65_535 || groups > oc {
            return error(format!(
                "{options:?}: a kernel {kh} × {kw} reaches over 65,535 pixels, or more groups than outputs"
            ));
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
        Ok(Self { options, element, images, c_in, c_out: oc / groups, input, output, kernel })
    }

    fn constants(&self) -> [(&'static str, usize); 15] {
        let Conv2dOptions { stride, padding, dilation, groups } = self.options;
        [
            ("GROUPS", groups),
            ("C_IN", self.c_in),
            ("C_OUT", self.c_out),
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

    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    fn in_pixels(&self) -> usize {
        self.input[0] * self.input[1]
    }

    fn out_pixels(&self) -> usize {
        self.output[0] * self.output[1]
    }

    fn in_image(&self) -> usize {
        self.options.groups * self.c_in * self.in_pixels()
    }

    fn out_image(&self) -> usize {
        self.options.groups * self.c_out * self.out_pixels()
    }

    pub(crate) fn output_shape(&self) -> [usize; 4] {
        [self.images, self.options.groups * self.c_out, self.output[0], self.output[1]]
    }

    /// Ranges of images whose packed operand of `floats` an image stays in the workspace. Parts begin where both
    /// tensors may be bound.
    fn parts(&self, gpu: &Gpu, floats: usize) -> Vec<(usize, usize)> {
        if gpu.family() == Family::Gpu {
            // That family packs nothing.
            return vec![(0, self.images)];
        }
        let step = self.step(gpu, false);
        let fit = (WORKSPACE / 4) as usize / floats.max(1);
        let part = (fit / step * step).max(step);
        (0..self.images).step_by(part).map(|first| (first, part.min(self.images - first))).collect()
    }

    /// Both tensors, and with `winners` those of the pooled output, may be bound from every multiple of this many images on.
    fn step(&self, gpu: &Gpu, winners: bool) -> usize {
        let align = (gpu.limits().min_storage_buffer_offset_alignment as usize / self.element.size()).max(4);
        let aligned = |step: usize| {
            // One word for four windows of four pixels.
            let code = if winners { self.out_image() / 16 } else { 0 };
            [self.in_image(), self.out_image(), code].iter().all(|n| (step * n).is_multiple_of(align))
        };
        (1..align).find(|&step| aligned(step)).unwrap_or(align)
    }

    /// Winograd's transforms, where they can be used and pay.
    fn winograd(&self, gpu: &Gpu, winners: bool) -> Option<Winograd> {
        let Conv2dOptions { stride, padding, dilation, groups } = self.options;
        let plain = self.kernel == [3, 3] && stride == [1, 1] && padding == [1, 1] && dilation == [1, 1];
        let [h, w] = self.input;
        let sizes = Winograd {
            images: self.images,
            step: self.step(gpu, winners),
            c_in: self.c_in,
            c_out: self.c_out,
            h,
            w,
        };
        let plain = plain && self.element == DType::F32;
        (gpu.family() == Family::Cpu && plain && groups == 1 && sizes.is_profitable(gpu, winners))
            .then_some(sizes)
    }

    /// Whether what the products pack of the fewest images that make a part can be bound; one pixel is never cut.
    fn fits(&self, gpu: &Gpu) -> bool {
        if gpu.family() == Family::Gpu || (self.images == 1 && self.output == [1, 1]) {
            return true;
        }
        if self.winograd(gpu, false).is_some_and(|winograd| winograd.weight_grad_fits(gpu)) {
            return true;
        }
        let windows = self.taps() * (self.c_in * self.out_pixels()).max(self.c_out * self.in_pixels());
        let lines = (self.c_in * self.taps()).next_multiple_of(64) + self.c_out.next_multiple_of(64);
        let image = self.options.groups * windows.max(self.out_pixels() * lines);
        let images = self.step(gpu, false).min(self.images);
        images as u64 * image as u64 * 4 <= gpu.limits().max_storage_buffer_binding_size
    }

    fn with_images(self, images: usize) -> Self {
        Self { images, ..self }
    }

    /// How the operands of a product with this `k` lie in memory, where a fast pack can read them.
    fn fast(&self, which: Which, k: usize) -> [Option<Fast>; 2] {
        let Conv2dOptions { stride, padding, dilation, groups } = self.options;
        let windows = stride == [1, 1];
        let of_input = Image {
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
        let of_input = if windows { Fast::image(of_input) } else { None };
        match which {
            Which::Forward => [Fast::matrix(groups, self.c_out, k, [self.c_out * k, k, 1]), of_input],
            Which::InputGrad => {
                // The gradient is a convolution of dy with the kernel turned around, padded by what is left.
                let left = |d: usize| (dilation[d] * (self.kernel[d] - 1)).checked_sub(padding[d]);
                let of_output = |padding| {
                    let (channels, input, output) = (self.c_out, self.output, self.input);
                    let (images, kernel) = (self.images, self.kernel);
                    let flip = true;
                    Fast::image(Image {
                        images,
                        groups,
                        channels,
                        input,
                        output,
                        kernel,
                        padding,
                        dilation,
                        flip,
                    })
                };
                [None, left(0).zip(left(1)).filter(|_| windows).and_then(|(h, w)| of_output([h, w]))]
            }
            Which::WeightGrad => {
                let (lines, plane) = (self.c_out, self.out_pixels());
                let (s_batch, s_plane) = (lines * plane, groups * lines * plane);
                let dy = Matrix { batches: groups, lines, k, s_batch, s_line: plane, s_k: 1, plane, s_plane };
                [of_input, Fast::planes(dy)]
            }
        }
    }

    fn forward(&self, x: &Tensor, w: &Tensor, output: &Output<'_>) -> Result<()> {
        let Output { bias, y, relu, winners } = *output;
        if let Some(winograd) = self.winograd(x.gpu(), winners.is_some()) {
            let bias = bias.map(Tensor::bind_padded);
            return winograd.forward(x, w, &winograd::Output { bias, relu, y, winners });
        }
        let Some(winners) = winners else { return self.forward_product(x, w, bias, relu, y) };
        let whole = Tensor::empty(x.gpu(), &self.output_shape())?;
        self.forward_product(x, w, bias, false, &whole)?;
        winners.pool(&whole, relu, y)
    }

    /// The forward pass as a product; the ReLU is of the `cpu` family only.
    pub(crate) fn forward_product(
        &self,
        x: &Tensor,
        w: &Tensor,
        bias: Option<&Tensor>,
        relu: bool,
        y: &Tensor,
    ) -> Result<()> {
        let gpu = y.gpu();
        for (first, count) in
            self.parts(gpu, self.options.groups * self.c_in * self.taps() * self.out_pixels())
        {
            let part = self.with_images(count);
            let bias = bias.map_or(Bias::None, |bias| Bias::Row(bias.bind_padded()));
            let views = [w.bind_padded(), images(x, first, count)];
            let kind = Kind { operands: Which::Forward, views, bias, relu, out: images(y, first, count) };
            part.product(&part.constants(), gpu, kind).enqueue()?;
        }
        Ok(())
    }

    pub(crate) fn input_grad_product(&self, w: &Tensor, dy: &Tensor, dx: &Tensor) -> Result<()> {
        let gpu = dx.gpu();
        for (first, count) in
            self.parts(gpu, self.options.groups * self.c_out * self.taps() * self.in_pixels())
        {
            let part = self.with_images(count);
            let views = [w.bind_padded(), images(dy, first, count)];
            let kind = Kind::gradient(Which::InputGrad, views, images(dx, first, count));
            part.product(&part.constants(), gpu, kind).enqueue()?;
        }
        Ok(())
    }

    pub(crate) fn weight_grad_product(&self, x: &Tensor, dy: &Tensor, shape: &[usize]) -> Result<Tensor> {
        let gpu = x.gpu();
        // Both operands are as long as the images' pixels.
        let lines = (self.c_in * self.taps()).next_multiple_of(64) + self.c_out.next_multiple_of(64);
        let floats = self.options.groups * self.out_pixels() * lines;
        let mut sum: Option<Tensor> = None;
        for (first, count) in self.parts(gpu, floats) {
            let part = self.with_images(count);
            let dw = Tensor::empty(gpu, shape)?;
            let views = [images(x, first, count), images(dy, first, count)];
            let kind = Kind::gradient(Which::WeightGrad, views, dw.bind());
            part.product(&part.constants(), gpu, kind).enqueue()?;
            sum = Some(match sum {
                Some(sum) => sum.add(&dw)?,
                None => dw,
            });
        }
        sum.ok_or_else(|| Error::shape("conv2d", "no images"))
    }

    /// The product of images `first..first + self.images`.
    fn product<'a>(&self, constants: &'a [(&'static str, usize)], gpu: &'a Gpu, kind: Kind) -> Product<'a> {
        let groups = self.options.groups;
        let (m, n, k, layout) = match kind.operands {
            Which::Forward => {
                let p = self.out_pixels();
                let layout = Layout {
                    c_batch: self.c_out * p,
                    c_row: p,
                    c_image: self.out_image(),
                    plane: p,
                    c_col: 1,
                };
                (self.c_out, self.images * p, self.c_in * self.taps(), layout)
            }
            Which::InputGrad => {
                let p = self.in_pixels();
                let layout =
                    Layout { c_batch: self.c_in * p, c_row: p, c_image: self.in_image(), plane: p, c_col: 1 };
                (self.c_in, self.images * p, self.c_out * self.taps(), layout)
            }
            Which::WeightGrad => {
                // Computed transposed, rows = weights of an output channel: the layout turns it back.
                let (m, n) = (self.c_in * self.taps(), self.c_out);
                let layout = Layout { c_batch: m * n, c_row: 1, c_image: 0, plane: n, c_col: m };
                (m, n, self.images * self.out_pixels(), layout)
            }
        };
        let fast = self.fast(kind.operands, k);
        let operands = kind.operands.kernels();
        let (batches, matrices) = (groups, [groups; 2]);
        Product {
            gpu,
            element: self.element,
            operands,
            views: kind.views,
            fast,
            constants,
            strides: [[0; 3]; 2],
            batches,
            matrices,
            m,
            n,
            k,
            layout,
            bias: kind.bias,
            relu: kind.relu,
            out: kind.out,
        }
    }
}

#[derive(Clone, Copy)]
enum Which {
    Forward,
    InputGrad,
    WeightGrad,
}

impl Which {
    fn kernels(self) -> &'static Operands {
        match self {
            Self::Forward => &gemm::CONV2D_FORWARD,
            Self::InputGrad => &gemm::CONV2D_INPUT_GRAD,
            Self::WeightGrad => &gemm::CONV2D_WEIGHT_GRAD,
        }
    }
}

struct Kind {
    operands: Which,
    views: [wgrad_device::View; 2],
    bias: Bias,
    relu: bool,
    out: wgrad_device::View,
}

impl Kind {
    fn gradient(operands: Which, views: [wgrad_device::View; 2], out: wgrad_device::View) -> Self {
        Self { operands, views, bias: Bias::None, relu: false, out }
    }
}

/// What a forward pass writes, and what it adds and does on the way.
#[derive(Clone, Copy)]
struct Output<'a> {
    bias: Option<&'a Tensor>,
    y: &'a Tensor,
    relu: bool,
    winners: Option<&'a Winners>,
}

/// Images `first..first + count` of an `[n, c, h, w]` tensor.
pub(crate) fn images(x: &Tensor, first: usize, count: usize) -> wgrad_device::View {
    let image = (numel(&x.shape()[1..]) * x.dtype().size()) as u64;
    let whole = x.bind_padded();
    // Bindings are whole words; what lies behind an odd number of halves is the next image or padding.
    let size = (count as u64 * image).next_multiple_of(4);
    whole.buffer.view(whole.offset + first as u64 * image, size)
}

/// Refuses a bias that is not one value an output channel of a weight of shape `w`.
pub(crate) fn check_bias(bias: Option<&Tensor>, w: &[usize]) -> Result<()> {
    let Some(bias) = bias.filter(|bias| bias.shape() != &w[..1]) else { return Ok(()) };
    Err(Error::shape("conv2d", format!("bias {:?} for a weight {w:?}", bias.shape())))
}

/// What the gradient must know of what followed the convolution.
enum After {
    Nothing,
    /// A ReLU, whose output this is.
    Relu(Tensor),
    /// Max pooling, and a ReLU which let nothing through where there is no winner.
    Pool(Winners),
}

struct Conv2d {
    x: Tensor,
    w: Tensor,
    geometry: Geometry,
    after: After,
}

impl Conv2d {
    fn input_grad(&self, dy: &Tensor) -> Result<Tensor> {
        let g = self.geometry;
        let dx = Tensor::empty(dy.gpu(), self.x.shape())?;
        match g.winograd(dy.gpu(), false) {
            Some(winograd) => winograd.input_grad(dy, &self.w, &dx)?,
            None => g.input_grad_product(&self.w, dy, &dx)?,
        }
        Ok(dx)
    }

    fn weight_grad(&self, dy: &Tensor) -> Result<Tensor> {
        let g = self.geometry;
        if let Some(winograd) =
            g.winograd(dy.gpu(), false).filter(|winograd| winograd.weight_grad_fits(dy.gpu()))
        {
            return winograd.weight_grad(&self.x, dy);
        }
        g.weight_grad_product(&self.x, dy, self.w.shape())
    }
}

impl Op for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let of_bias = needed.len() == 3 && needed[2];
        let mut db = match &self.after {
            After::Pool(winners) if of_bias => winners.unpool_sum(dy)?,
            _ => None,
        };
        if !needed[0] && !needed[1] && db.is_some() == of_bias {
            return Ok([None, None, db].into_iter().take(needed.len()).collect());
        }
        // The gradient of what the convolution itself gave.
        let dy = match &self.after {
            After::Nothing => dy.clone(),
            After::Relu(y) => relu_backward(y, dy)?,
            After::Pool(winners) => winners.unpool(dy)?,
        };
        // The small gradients first: dx is not held while the weight's gradient needs its workspace.
        let dw = needed[1].then(|| self.weight_grad(&dy)).transpose()?;
        if of_bias && db.is_none() {
            db = Some(dy.sum(&[0, 2, 3])?);
        }
        let dx = needed[0].then(|| self.input_grad(&dy)).transpose()?;
        Ok([dx, dw, db].into_iter().take(needed.len()).collect())
    }
}

impl Tensor {
    /// 2-D convolution with a weight `[out, c / groups, kh, kw]` and a bias `[out]`.
    ///
    /// Shape: `[n, c, h, w]` to `[n, out, oh, ow]`, `oh = (h + 2·padding - dilation·(kh - 1) - 1) / stride + 1`,
    /// rounded down. Counterpart: `torch.nn.functional.conv2d`.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Device`].
    pub fn conv2d(&self, w: &Tensor, bias: Option<&Tensor>, options: Conv2dOptions) -> Result<Tensor> {
        self.conv2d_with(w, bias, options, Epilogue::default())
    }

    /// As [`Tensor::conv2d`], and what follows it.
    ///
    /// Shape: that of [`Tensor::conv2d`], or with max pooling half its height and width, rounded down.
    ///
    /// # Errors
    /// As [`Tensor::conv2d`], and [`Error::Shape`] for an output too small to pool.
    pub fn conv2d_with(
        &self,
        w: &Tensor,
        bias: Option<&Tensor>,
        options: Conv2dOptions,
        epilogue: Epilogue,
    ) -> Result<Tensor> {
        let (w, bias) = (w.as_f32("conv2d")?, bias.map(|bias| bias.as_f32("conv2d")).transpose()?);
        self.in_f32("conv2d", |x| x.conv2d_f32(&w, bias.as_ref(), options, epilogue))
    }

    fn conv2d_f32(
        &self,
        w: &Tensor,
        bias: Option<&Tensor>,
        options: Conv2dOptions,
        epilogue: Epilogue,
    ) -> Result<Tensor> {
        let g = Geometry::new(DType::F32, self.shape(), w.shape(), options)?;
        check_bias(bias, w.shape())?;
        let gpu = self.gpu();
        if !g.fits(gpu) {
            return self.conv2d_in_halves(w, bias, options, epilogue, g.output);
        }
        let Epilogue { relu, max_pool } = epilogue;
        let pooled = if max_pool { Winners::pooled(g.output_shape()) } else { None };
        // Of the gpu family's products, none has a ReLU.
        let fuses = pooled.is_some() || (!max_pool && gpu.family() == Family::Cpu);
        if epilogue != Epilogue::default() && !fuses {
            let mut y = self.conv2d(w, bias, options)?;
            if max_pool {
                // Before the ReLU, which keeps the order of values: the same, and less work.
                y = y.max_pool2d(Pool2dOptions::square(2))?;
            }
            return if relu { y.relu() } else { Ok(y) };
        }
        let (y, winners) = match pooled {
            Some(shape) => {
                let (y, winners) = Winners::with_image(gpu, shape)?;
                (y, Some(winners))
            }
            None => (Tensor::empty(gpu, &g.output_shape())?, None),
        };
        g.forward(self, w, &Output { bias, y: &y, relu, winners: winners.as_ref() })?;
        let mut inputs = vec![self, w];
        inputs.extend(bias);
        let after = match winners {
            Some(winners) => After::Pool(winners),
            None if relu => After::Relu(y.detach()),
            None => After::Nothing,
        };
        Ok(y.with_op(&inputs, || Conv2d { x: self.detach(), w: w.detach(), geometry: g, after }))
    }
}
