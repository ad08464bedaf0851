//! A plain convolutional net.

use wgrad_autograd::{Conv2dOptions, Tensor};

use crate::{Builder, Conv2d, Linear, Mode, Module, Result};

/// The sizes of a [`Cnn`]. The default is for CIFAR-10: 32×32 RGB, 64 and 128 channels, ten classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CnnOptions {
    /// Planes of an image.
    pub channels: usize,
    /// Rows and columns of an image. Each convolution halves them, rounded down, and something must be left.
    pub size: [usize; 2],
    /// Channels of each convolution.
    pub widths: Vec<usize>,
    /// Numbers that come out for an image.
    pub classes: usize,
}

impl Default for CnnOptions {
    fn default() -> Self {
        Self { channels: 3, size: [32, 32], widths: vec![64, 128], classes: 10 }
    }
}

impl CnnOptions {
    /// Inputs of the linear layer: channels × rows × columns behind the last convolution.
    pub fn features(&self) -> usize {
        let halvings = u32::try_from(self.widths.len()).unwrap_or(u32::MAX);
        let halved = |side: usize| side.checked_shr(halvings).unwrap_or(0);
        let [rows, columns] = self.size.map(halved);
        let channels = self.widths.last().copied().unwrap_or(self.channels);
        channels.saturating_mul(rows).saturating_mul(columns)
    }
}

/// 3×3 convolutions, each with ReLU and 2×2 max pooling, then one linear layer: `conv1`, `conv2` and so on, and `fc`.
///
/// Shape: `[n, channels, rows, columns]` to `[n, classes]`.
pub struct Cnn {
    convs: Vec<Conv2d>,
    fc: Linear,
}

impl Cnn {
    /// The model under the name of `builder`, with PyTorch's default initialisation.
    pub fn new(builder: &Builder, options: &CnnOptions) -> Self {
        let same = Conv2dOptions { padding: [1, 1], ..Default::default() };
        let inputs = [&options.channels].into_iter().chain(&options.widths);
        let convs = inputs.zip(&options.widths).enumerate().map(|(i, (&inputs, &outputs))| {
            let scope = builder.scope(format!("conv{}", i + 1));
            Conv2d::new(&scope, inputs, outputs, [3, 3], same).with_relu().with_max_pool()
        });
        let convs = convs.collect();
        Self { convs, fc: Linear::new(&builder.scope("fc"), options.features(), options.classes) }
    }

    /// The output for `x`.
    ///
    /// # Errors
    /// [`crate::Error::Layer`] if `x` does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.convs.iter().try_fold(x.clone(), |x, conv| conv.forward(&x))?;
        self.fc.forward(&x.flatten(1)?)
    }
}

impl Module for Cnn {
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        self.forward(x)
    }
}
