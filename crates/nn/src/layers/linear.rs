//! Fully connected layer.

use wgrad_autograd::Tensor;

use super::{Mode, Module, in_layer, name_of};
use crate::{Builder, Init, Param, Result};

/// `y = x · weightᵀ + bias`, and perhaps a ReLU in the same op. Counterpart: `torch.nn.Linear`.
///
/// Shape: `[.., inputs]` to `[.., outputs]`; weight `[outputs, inputs]`, bias `[outputs]`.
pub struct Linear {
    name: String,
    weight: Param,
    bias: Option<Param>,
    relu: bool,
}

impl Linear {
    /// With PyTorch's default initialisation.
    pub fn new(builder: &Builder, inputs: usize, outputs: usize) -> Self {
        let weight = builder.param("weight", &[outputs, inputs], Init::fan_in(inputs));
        let bias = Some(builder.param("bias", &[outputs], Init::fan_in(inputs)));
        Self { name: name_of(builder, "Linear"), weight, bias, relu: false }
    }

    /// As [`Linear::new`], without bias.
    pub fn without_bias(builder: &Builder, inputs: usize, outputs: usize) -> Self {
        let weight = builder.param("weight", &[outputs, inputs], Init::fan_in(inputs));
        Self { name: name_of(builder, "Linear"), weight, bias: None, relu: false }
    }

    /// This layer, followed by a ReLU.
    pub fn with_relu(mut self) -> Self {
        self.relu = true;
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
        in_layer(&self.name, if self.relu { x.linear_relu(weight, bias) } else { x.linear(weight, bias) })
    }
}

impl Module for Linear {
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        self.forward(x)
    }
}
