//! Fully connected layer.

use wgrad_autograd::{Activation, Epilogue, Tensor};

use super::{Mode, Module, in_layer, name_of};
use crate::{Builder, Init, Param, Result};

/// `y = x · weightᵀ + bias`, and perhaps an activation in the same op. Counterpart: `torch.nn.Linear`.
///
/// Shape: `[.., inputs]` to `[.., outputs]`; weight `[outputs, inputs]`, bias `[outputs]`.
pub struct Linear {
    name: String,
    weight: Param,
    bias: Option<Param>,
    activation: Activation,
}

impl Linear {
    /// With PyTorch's default initialisation.
    pub fn new(builder: &Builder, inputs: usize, outputs: usize) -> Self {
        let weight = builder.param("weight", &[outputs, inputs], Init::fan_in(inputs));
        let bias = Some(builder.param("bias", &[outputs], Init::fan_in(inputs)));
        Self { name: name_of(builder, "Linear"), weight, bias, activation: Activation::None }
    }

    /// As [`Linear::new`], without bias.
    pub fn without_bias(builder: &Builder, inputs: usize, outputs: usize) -> Self {
        let weight = builder.param("weight", &[outputs, inputs], Init::fan_in(inputs));
        Self { name: name_of(builder, "Linear"), weight, bias: None, activation: Activation::None }
    }

    /// This layer, followed by a ReLU.
    pub fn with_relu(self) -> Self {
        self.with_activation(Activation::Relu)
    }

    /// This layer, followed by an activation.
    pub fn with_activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }
}

impl Linear {
    /// The output for `x`.
    ///
    /// # Errors
    /// [`crate::Error::Layer`] if `x` does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let bias = self.bias.as_ref().map(Param::tensor).transpose()?;
        let weight = self.weight.tensor()?;
        let epilogue = Epilogue { activation: self.activation, ..Epilogue::default() };
        in_layer(&self.name, x.linear_with(weight, bias, epilogue))
    }
}

impl Module for Linear {
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        self.forward(x)
    }
}
