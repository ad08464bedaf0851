//! Max pooling over 2 × 2 windows, and perhaps a ReLU behind it, by whole vec4 (`max_pool2d_pairs.wgsl`), or in the kernel
//! that makes the image (`store_pooled.wgsl`).

use wgrad_device::shaders::{self, Kernel};
use wgrad_device::{Gpu, Launch, View};

use crate::launch::launch;
use crate::shape::numel;
use crate::{DType, Result, Tensor};

/// Planes of which each is summed by one invocation.
const FEWEST_PLANES: usize = 256;
const LONGEST_PLANE: usize = 16_384;

/// Which pixel of each window of a pooled image was its maximum, as `pool_windows.wgsl` says: a byte for each window, a word
/// for four.
pub(crate) struct ArgmaxMask {
    words: Tensor,
    /// The pooled image's, `[n, c, h, w]`.
    shape: [usize; 4],
}

impl ArgmaxMask {
    /// The shape of an image `[n, c, h, w]` pooled, if these kernels can pool it.
    pub(crate) fn pooled([n, c, h, w]: [usize; 4]) -> Option<[usize; 4]> {
        (h.is_multiple_of(2) && w.is_multiple_of(8)).then_some([n, c, h / 2, w / 2])
    }

    /// A pooled image of this shape with its mask, for a kernel to write.
    pub(crate) fn with_image(gpu: &Gpu, shape: [usize; 4]) -> Result<(Tensor, Self)> {
        let image = Tensor::empty(gpu, &shape)?;
        let words = Tensor::empty_of(gpu, &[image.numel() / 4], DType::I32)?;
        Ok((image, Self { words, shape }))
    }

    /// The words of images `first..first + count`.
    pub(crate) fn images(&self, first: usize, count: usize) -> View {
        let (image, whole) = (numel(&self.shape[1..]) as u64, self.words.bind());
        whole.buffer.view(whole.offset + first as u64 * image, count as u64 * image)
    }

    fn launch<'a>(&self, gpu: &'a Gpu, entry: &'static str, relu: bool) -> Launch<'a> {
        let [.., h, w] = self.shape;
        launch(gpu, Kernel::new(&shaders::MAX_POOL2D_PAIRS, entry))
            .set_all([("n4", numel(&self.shape) / 4), ("quads", w / 4), ("plane4", h * w / 4)])
            .set("relu", usize::from(relu))
            // Over the pixels of a window.
            .max_iterations(4)
    }

    /// Pools x into `y`, made together with this mask.
    pub(crate) fn pool(&self, x: &Tensor, relu: bool, y: &Tensor) -> Result<()> {
        let launch = self.launch(x.gpu(), "max_pool2d_pairs_forward", relu);
        let launch = launch.bind_all([("x", x.bind()), ("y", y.bind()), ("mask_out", self.words.bind())]);
        Ok(launch.threads(y.numel() / 4).enqueue()?)
    }

    /// The gradient of the image before the pooling, by that of the pooled one.
    pub(crate) fn unpool(&self, dy: &Tensor) -> Result<Tensor> {
        let [n, c, h, w] = self.shape;
        let dx = Tensor::empty(dy.gpu(), &[n, c, 2 * h, 2 * w])?;
        let launch = self.launch(dy.gpu(), "max_pool2d_pairs_backward", false);
        let launch = launch.bind_all([("dy", dy.bind()), ("mask", self.words.bind()), ("dx", dx.bind())]);
        launch.threads(dy.numel() / 4).enqueue()?;
        Ok(dx)
    }

    /// The sum over images and pixels of what [`ArgmaxMask::unpool`] gives, from a quarter of the values: `[c]`; none where
    /// planes are too few to keep a device busy, or so long that their sums are better split.
    pub(crate) fn unpool_sum(&self, dy: &Tensor, into: Option<&Tensor>) -> Result<Option<Tensor>> {
        let [n, c, h, w] = self.shape;
        if n * c < FEWEST_PLANES || h * w > LONGEST_PLANE {
            return Ok(None);
        }
        let planes = Tensor::empty(dy.gpu(), &[n, c])?;
        let launch = self.launch(dy.gpu(), "max_pool2d_pairs_sum", false);
        let launch =
            launch.bind_all([("dy", dy.bind()), ("mask", self.words.bind()), ("sum", planes.bind())]);
        launch.max_iterations(h * w / 4).threads(n * c).enqueue()?;
        planes.sum_into(&[0], into).map(Some)
    }
}
