//! A residual net with batch norm.

use wgrad_autograd::{BatchNormOptions, Conv2dOptions, Tensor};

use crate::{
    BatchNorm2d, Builder, Conv2d, GlobalMaxPool2d, Linear, Mode, Module, Residual, Result, Sequential,
};

/// The sizes of a [`Resnet9`]. The default is for CIFAR-10: RGB, 16 channels to begin with, ten classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resnet9Options {
    /// Planes of an image, which has at least 8 rows and columns.
    pub channels: usize,
    /// Channels of the first convolution; the last ones have eight times as many.
    pub width: usize,
    /// Numbers that come out for an image.
    pub classes: usize,
}

impl Default for Resnet9Options {
    fn default() -> Self {
        Self { channels: 3, width: 16, classes: 10 }
    }
}

/// A 3×3 convolution, batch norm, ReLU and perhaps pooling. Batch norm shifts, so the convolution has no bias.
struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm2d,
}

impl ConvNorm {
    fn new(builder: &Builder, inputs: usize, outputs: usize, max_pool: bool) -> Self {
        let same = Conv2dOptions { padding: [1, 1], ..Default::default() };
        let options = BatchNormOptions { relu: true, max_pool, ..Default::default() };
        Self {
            conv: Conv2d::without_bias(&builder.scope("conv"), inputs, outputs, [3, 3], same),
            norm: BatchNorm2d::new(&builder.scope("norm"), outputs, options),
        }
    }
}

impl Module for ConvNorm {
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        self.norm.forward(&self.conv.forward(x)?, mode)
    }
}

/// Eight convolutions with batch norm, four of them in two residual connections, then global max pooling and one linear layer:
/// `block1` and `block2`, `residual1`, `block3` and `block4`, `residual2`, `fc`.
///
/// Shape: `[n, channels, rows, columns]` to `[n, classes]`.
pub struct Resnet9 {
    block1: ConvNorm,
    block2: ConvNorm,
    residual1: Residual<Sequential>,
    block3: ConvNorm,
    block4: ConvNorm,
    residual2: Residual<Sequential>,
    fc: Linear,
}

impl Resnet9 {
    /// The model under the name of `builder`, with PyTorch's default initialisation.
    pub fn new(builder: &Builder, options: Resnet9Options) -> Self {
        let Resnet9Options { channels, width, classes } = options;
        let block = |name: &str, inputs, outputs, max_pool| {
            ConvNorm::new(&builder.scope(name), inputs, outputs, max_pool)
        };
        let residual = |name: &str, channels| {
            Residual::new(&builder.scope(name), |b| {
                let pair = Sequential::new(b).with(|b| ConvNorm::new(b, channels, channels, false));
                pair.with(|b| ConvNorm::new(b, channels, channels, false))
            })
        };
        Self {
            block1: block("block1", channels, width, false),
            block2: block("block2", width, 2 * width, true),
            residual1: residual("residual1", 2 * width),
            block3: block("block3", 2 * width, 4 * width, true),
            block4: block("block4", 4 * width, 8 * width, true),
            residual2: residual("residual2", 8 * width),
            fc: Linear::new(&builder.scope("fc"), 8 * width, classes),
        }
    }

    /// The output for `x`.
    ///
    /// # Errors
    /// [`crate::Error::Layer`] if `x` does not fit.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let x = self.block2.forward(&self.block1.forward(x, mode)?, mode)?;
        let x = self.residual1.forward(&x, mode)?;
        let x = self.block4.forward(&self.block3.forward(&x, mode)?, mode)?;
        let x = self.residual2.forward(&x, mode)?;
        self.fc.forward(&GlobalMaxPool2d.forward(&x)?)
    }
}

impl Module for Resnet9 {
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        self.forward(x, mode)
    }
}
