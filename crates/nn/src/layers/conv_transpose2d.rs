//! Transposed 2-D convolution layer.

use wgrad_autograd::{ConvTranspose2dOptions, Tensor};

use super::{Mode, Module, in_layer, name_of};
use crate::{Builder, Init, Param, Result};

/// Transposed 2-D convolution, as decoders grow images by it. Counterpart: `torch.nn.ConvTranspose2d`.
///
/// Shape: `[n, inputs, h, w]` to `[n, outputs, oh, ow]`, as [`Tensor::conv_transpose2d`] says; weight
/// `[inputs, outputs / groups, kh, kw]`, bias `[outputs]`.
pub struct ConvTranspose2d {
    name: String,
    weight: Param,
    bias: Option<Param>,
    options: ConvTranspose2dOptions,
}

impl ConvTranspose2d {
    /// With PyTorch's default initialisation; `kernel` is `[height, width]`.
    pub fn new(
        builder: &Builder,
        inputs: usize,
        outputs: usize,
        kernel: [usize; 2],
        options: ConvTranspose2dOptions,
    ) -> Self {
        let mut layer = Self::without_bias(builder, inputs, outputs, kernel, options);
        let fan_in = layer.weight.shape()[1..].iter().product();
        layer.bias = Some(builder.param("bias", &[outputs], Init::fan_in(fan_in)));
        layer
    }

    /// As [`ConvTranspose2d::new`], without bias.
    pub fn without_bias(
        builder: &Builder,
        inputs: usize,
        outputs: usize,
        kernel: [usize; 2],
        options: ConvTranspose2dOptions,
    ) -> Self {
        // Zero groups are refused by the op; dividing by them must not panic before.
        let shape = [inputs, outputs / options.conv.groups.max(1), kernel[0], kernel[1]];
        let weight = builder.param("weight", &shape, Init::fan_in(shape[1..].iter().product()));
        Self { name: name_of(builder, "ConvTranspose2d"), weight, bias: None, options }
    }

    /// The output for `x`.
    ///
    /// # Errors
    /// [`Error::Layer`](crate::Error::Layer), which names the layer, if `x` does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let bias = self.bias.as_ref().map(Param::tensor).transpose()?;
        in_layer(&self.name, x.conv_transpose2d(self.weight.tensor()?, bias, self.options))
    }
}

impl Module for ConvTranspose2d {
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        self.forward(x)
    }
}
