//! The models: a plain CNN, and a residual net with batch norm.

use wgrad::nn::{
    BatchNorm2d, Builder, Conv2d, GlobalMaxPool2d, Linear, Mode, Module, Residual, Result, Sequential,
};
use wgrad::{BatchNormOptions, Conv2dOptions, Tensor};

/// Convolutions that keep the size of the image.
const SAME: Conv2dOptions = Conv2dOptions { stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 };

/// Two convolutions with ReLU and pooling, then one linear layer: 32×32 RGB to ten classes.
pub struct Cnn {
    conv1: Conv2d,
    conv2: Conv2d,
    fc: Linear,
}

impl Cnn {
    pub fn new(builder: &Builder) -> Self {
        Self {
            conv1: Conv2d::new(&builder.scope("conv1"), 3, 64, [3, 3], SAME).with_relu().with_max_pool(),
            conv2: Conv2d::new(&builder.scope("conv2"), 64, 128, [3, 3], SAME).with_relu().with_max_pool(),
            fc: Linear::new(&builder.scope("fc"), 128 * 8 * 8, 10),
        }
    }
}

impl Module for Cnn {
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        let x = self.conv2.forward(&self.conv1.forward(x)?)?;
        self.fc.forward(&x.flatten(1)?)
    }
}

/// A 3×3 convolution, batch norm, ReLU and perhaps pooling. Batch norm shifts, so the convolution has no bias.
struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm2d,
}

impl ConvNorm {
    fn new(builder: &Builder, inputs: usize, outputs: usize, max_pool: bool) -> Self {
        let options = BatchNormOptions { relu: true, max_pool, ..Default::default() };
        Self {
            conv: Conv2d::without_bias(&builder.scope("conv"), inputs, outputs, [3, 3], SAME),
            norm: BatchNorm2d::new(&builder.scope("norm"), outputs, options),
        }
    }
}

impl Module for ConvNorm {
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        self.norm.forward(&self.conv.forward(x)?, mode)
    }
}

/// Eight convolutions with batch norm, four of them in two residual connections, then one linear layer: 32×32 RGB to
/// ten classes, with `width` to 8 · `width` channels.
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
    pub fn new(builder: &Builder, width: usize) -> Self {
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
            block1: block("block1", 3, width, false),
            block2: block("block2", width, 2 * width, true),
            residual1: residual("residual1", 2 * width),
            block3: block("block3", 2 * width, 4 * width, true),
            block4: block("block4", 4 * width, 8 * width, true),
            residual2: residual("residual2", 8 * width),
            fc: Linear::new(&builder.scope("fc"), 8 * width, 10),
        }
    }
}

impl Module for Resnet9 {
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let x = self.block2.forward(&self.block1.forward(x, mode)?, mode)?;
        let x = self.residual1.forward(&x, mode)?;
        let x = self.block4.forward(&self.block3.forward(&x, mode)?, mode)?;
        let x = self.residual2.forward(&x, mode)?;
        self.fc.forward(&GlobalMaxPool2d.forward(&x)?)
    }
}
