//! Max and average pooling of images.

use wgrad_device::Launch;
use wgrad_device::shaders::{self, File, Kernel};

use crate::launch::launch;
use crate::ops::argmax_mask::ArgmaxMask;
use crate::{DType, Error, Gpu, Op, Result, Tensor};

/// Window, stride and padding of a pooling, each `[height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool2dOptions {
    /// Window.
    pub kernel: [usize; 2],
    /// Step from window to window; PyTorch's default is the window itself.
    pub stride: [usize; 2],
    /// Border around the image, at most half the window.
    pub padding: [usize; 2],
}

impl Pool2dOptions {
    /// Square windows of `kernel` that don't overlap, without padding.
    pub fn square(kernel: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [kernel; 2], padding: [0; 2] }
    }
}

#[derive(Clone)]
struct Geometry {
    options: Pool2dOptions,
    input: Vec<usize>,
    output: Vec<usize>,
}

impl Geometry {
    fn new(op: &'static str, x: &Tensor, options: Pool2dOptions) -> Result<Self> {
        let &[n, c, h, w] = x.shape() else {
            return Err(Error::shape(
                op,
                format!("input {:?}; expected [n, channels, height, width]", x.shape()),
            ));
        };
        let Pool2dOptions { kernel, stride, padding } = options;
        let bad = |d: usize| {
            kernel[d] == 0
                || stride[d] == 0
                || padding[d] > kernel[d] / 2
                || kernel[d].max(stride[d]) > 65_535
        };
        if h == 0 || w == 0 {
            return Err(Error::shape(op, format!("an image {:?} has no pixels", x.shape())));
        }
        if bad(0) || bad(1) {
            let message = format!(
                "{options:?}: kernel and stride are at least 1 and at most 65,535, padding at most half the kernel"
            );
            return Err(Error::shape(op, message));
        }
        let size =
            |d: usize, n: usize| (n + 2 * padding[d]).checked_sub(kernel[d]).map(|rest| rest / stride[d] + 1);
        match (size(0, h), size(1, w)) {
            (Some(oh), Some(ow)) => {
                Ok(Self { options, input: x.shape().to_vec(), output: vec![n, c, oh, ow] })
            }
            _ => Err(Error::shape(
                op,
                format!("a window {kernel:?} is larger than the padded input {:?}", x.shape()),
            )),
        }
    }

    /// The launch of a kernel with one invocation for each of `n` elements.
    fn launch<'a>(&self, gpu: &'a Gpu, file: &'static File, entry: &'static str, n: usize) -> Launch<'a> {
        let Pool2dOptions { kernel: [kh, kw], stride: [sh, sw], padding: [ph, pw] } = self.options;
        launch(gpu, Kernel::new(file, entry))
            .constants([("KH", kh), ("KW", kw), ("SH", sh), ("SW", sw), ("PH", ph), ("PW", pw)])
            .constants([("H", self.input[2]), ("W", self.input[3])])
            .constants([("OH", self.output[2]), ("OW", self.output[3])])
            .set("n", n)
            .max_iterations(self.max_iterations())
            .threads(n)
    }

    /// Loop iterations of an invocation: over the rows of a window, and over the pixels of each row, each loop's last check
    /// counted. The windows that contain a pixel are no more.
    fn max_iterations(&self) -> usize {
        let [h, w] = self.options.kernel;
        h * (w + 2) + 1
    }

    /// The same pooling as two, along the width and along the height, where an invocation would loop too long over the whole
    /// window. The first maximum of the first row that has it is the first maximum of all.
    fn in_two(&self, op: &'static str, x: &Tensor) -> Result<Option<[Pool2dOptions; 2]>> {
        let limit = x.gpu().loop_limit();
        if self.max_iterations() as u64 <= limit {
            return Ok(None);
        }
        let Pool2dOptions { kernel: [kh, kw], stride: [sh, sw], padding: [ph, pw] } = self.options;
        // One pixel high it takes kw + 3 iterations, one pixel wide 3 · kh + 1.
        if (kw as u64 + 3).max(3 * kh as u64 + 1) > limit || kh == 1 || kw == 1 {
            let message = format!(
                "a window of {kh} × {kw} pixels over {:?}; this adapter pools windows of up to {} × {}: pool in steps",
                x.shape(),
                (limit - 1) / 3,
                limit - 3
            );
            return Err(Error::shape(op, message));
        }
        let wide = Pool2dOptions { kernel: [1, kw], stride: [1, sw], padding: [0, pw] };
        let high = Pool2dOptions { kernel: [kh, 1], stride: [sh, 1], padding: [ph, 0] };
        Ok(Some([wide, high]))
    }
}

struct MaxPool {
    geometry: Geometry,
    /// Which pixel of each window was its maximum, as `max_pool2d.wgsl` says.
    mask: Tensor,
}

/// Max pooling over 2 × 2 windows.
struct MaxPoolPairs {
    mask: ArgmaxMask,
}

impl Op for MaxPoolPairs {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(self.mask.unpool(dy)?)])
    }
}

impl Op for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let dx = Tensor::empty(dy.gpu(), &self.geometry.input)?;
        self.geometry
            .launch(dy.gpu(), &shaders::MAX_POOL2D, "max_pool2d_backward", dx.numel())
            .bind_all([("dy", dy.bind()), ("mask", self.mask.bind()), ("dx", dx.bind())])
            .enqueue()?;
        Ok(vec![Some(dx)])
    }
}

/// Average pooling, or its gradient, each of which is the other's gradient.
struct AvgPool {
    geometry: Geometry,
    is_gradient: bool,
}

impl AvgPool {
    fn apply(self, x: &Tensor) -> Result<Tensor> {
        let (entry, [from, to]) = match self.is_gradient {
            false => ("avg_pool2d_forward", ["x", "y"]),
            true => ("avg_pool2d_backward", ["dy", "dx"]),
        };
        let shape = if self.is_gradient { &self.geometry.input } else { &self.geometry.output };
        let y = Tensor::empty(x.gpu(), shape)?;
        self.geometry
            .launch(x.gpu(), &shaders::AVG_POOL2D, entry, y.numel())
            .bind_all([(from, x.bind()), (to, y.bind())])
            .enqueue()?;
        Ok(y.with_op(&[x], || self))
    }
}

impl Op for AvgPool {
    fn name(&self) -> &'static str {
        "avg_pool2d"
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let gradient = Self { geometry: self.geometry.clone(), is_gradient: !self.is_gradient };
        Ok(vec![Some(gradient.apply(dy)?)])
    }

    fn recorded_backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Option<Vec<Option<Tensor>>>> {
        self.backward(dy, needed).map(Some)
    }
}

impl Tensor {
    /// Maximum over windows; the first of equal maxima gets the gradient. A NaN wins, as in PyTorch.
    ///
    /// Shape: `[n, c, h, w]` to `[n, c, oh, ow]`, `oh = (h + 2·padding - kernel) / stride + 1`, rounded down.
    ///
    /// # Errors
    /// [`Error::Shape`] for other ranks or windows that don't fit, [`Error::Device`].
    pub fn max_pool2d(&self, options: Pool2dOptions) -> Result<Tensor> {
        self.in_f32("max_pool2d", |x| x.max_pool2d_f32(options))
    }

    fn max_pool2d_f32(&self, options: Pool2dOptions) -> Result<Tensor> {
        let geometry = Geometry::new("max_pool2d", self, options)?;
        if let (true, &[n, c, h, w]) = (options == Pool2dOptions::square(2), self.shape())
            && let Some(shape) = ArgmaxMask::pooled([n, c, h, w])
        {
            let (y, mask) = ArgmaxMask::with_image(self.gpu(), shape)?;
            mask.pool(self, false, &y)?;
            return Ok(y.with_op(&[self], || MaxPoolPairs { mask }));
        }
        if let Some([wide, high]) = geometry.in_two("max_pool2d", self)? {
            return self.max_pool2d_f32(wide)?.max_pool2d_f32(high);
        }
        let y = Tensor::empty(self.gpu(), &geometry.output)?;
        let mask = Tensor::empty_of(self.gpu(), &geometry.output, DType::I32)?;
        geometry
            .launch(self.gpu(), &shaders::MAX_POOL2D, "max_pool2d_forward", y.numel())
            .bind_all([("x", self.bind()), ("y", y.bind()), ("mask_out", mask.bind())])
            .enqueue()?;
        Ok(y.with_op(&[self], || MaxPool { geometry, mask }))
    }

    /// Mean over windows, with padding counted as zeros.
    ///
    /// Shape: as [`Tensor::max_pool2d`].
    ///
    /// # Errors
    /// As [`Tensor::max_pool2d`].
    pub fn avg_pool2d(&self, options: Pool2dOptions) -> Result<Tensor> {
        self.in_f32("avg_pool2d", |x| x.avg_pool2d_f32(options))
    }

    fn avg_pool2d_f32(&self, options: Pool2dOptions) -> Result<Tensor> {
        let geometry = Geometry::new("avg_pool2d", self, options)?;
        if let Some([wide, high]) = geometry.in_two("avg_pool2d", self)? {
            return self.avg_pool2d_f32(wide)?.avg_pool2d_f32(high);
        }
        AvgPool { geometry, is_gradient: false }.apply(self)
    }
}
