//! 2-D convolution layer.

use wgrad_autograd::{Activation, Conv2dOptions, Epilogue, Tensor};

use super::{Mode, Module, in_layer, name_of};
use crate::{Builder, Init, Param, Result};

/// 2-D convolution, and perhaps an activation and max pooling in the same op. Counterpart: `torch.nn.Conv2d`.
///
/// Shape: `[n, inputs, h, w]` to `[n, outputs, oh, ow]`, pooled to half of both; weight `[outputs, inputs / groups, kh, kw]`, bias `[outputs]`.
pub struct Conv2d {
    name: String,
    weight: Param,
    bias: Option<Param>,
    options: Conv2dOptions,
    epilogue: Epilogue<'static>,
}

impl Conv2d {
    /// With PyTorch's default initialisation; `kernel` is `[height, width]`.
    pub fn new(
        builder: &Builder,
        inputs: usize,
        outputs: usize,
        kernel: [usize; 2],
        options: Conv2dOptions,
    ) -> Self {
        let mut layer = Self::without_bias(builder, inputs, outputs, kernel, options);
        let fan_in = layer.weight.shape()[1..].iter().product();
        layer.bias = Some(builder.param("bias", &[outputs], Init::fan_in(fan_in)));
        layer
    }

    /// As [`Conv2d::new`], without bias.
    pub fn without_bias(
        builder: &Builder,
        inputs: usize,
        outputs: usize,
        kernel: [usize; 2],
        options: Conv2dOptions,
    ) -> Self {
        // Zero groups are refused by the op; dividing by them must not panic before.
        let shape = [outputs, inputs / options.groups.max(1), kernel[0], kernel[1]];
        let weight = builder.param("weight", &shape, Init::fan_in(shape[1..].iter().product()));
        Self { name: name_of(builder, "Conv2d"), weight, bias: None, options, epilogue: Epilogue::default() }
    }

    /// This layer, followed by a ReLU.
    pub fn with_relu(self) -> Self {
        self.with_activation(Activation::Relu)
    }

    /// This layer, followed by an activation.
    pub fn with_activation(mut self, activation: Activation) -> Self {
        self.epilogue.activation = activation;
        self
    }

    /// This layer, followed by max pooling over 2 × 2 windows, behind the activation if there is one.
    pub fn with_max_pool(mut self) -> Self {
        self.epilogue.max_pool = true;
        self
    }
}

impl Conv2d {
    /// The output for `x`.
    ///
    /// # Errors
    /// [`crate::Error::Layer`] if `x` does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let bias = self.bias.as_ref().map(Param::tensor).transpose()?;
        in_layer(&self.name, x.conv2d_with(self.weight.tensor()?, bias, self.options, self.epilogue))
    }
}

impl Module for Conv2d {
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        self.forward(x)
    }
}
