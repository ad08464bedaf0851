//! Fully connected layer.

use wgrad_autograd::Tensor;

use super::{Mode, Module, in_layer};
use crate::{Builder, Init, Param, Result};

/// `y = x · weightᵀ + bias`. Counterpart: `torch.nn.Linear`.
///
/// Shape: `[.., inputs]` to `[.., outputs]`; weight `[outputs, inputs]`, bias `[outputs]`.
pub struct Linear {
    name: String,
    weight: Param,
    bias: Option<Param>,
}

impl Linear {
    /// With PyTorch's default initialisation.
    pub fn new(builder: &Builder, inputs: usize, outputs: usize) -> Self {
        let weight = builder.param("weight", &[outputs, inputs], Init::fan_in(inputs));
        let bias = Some(builder.param("bias", &[outputs], Init::fan_in(inputs)));
        Self { name: builder.name().to_owned(), weight, bias }
    }

    /// As [`Linear::new`], without bias.
    pub fn without_bias(builder: &Builder, inputs: usize, outputs: usize) -> Self {
        let weight = builder.param("weight", &[outputs, inputs], Init::fan_in(inputs));
        Self { name: builder.name().to_owned(), weight, bias: None }
    }
}

impl Module for Linear {
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        let bias = self.bias.as_ref().map(Param::tensor).transpose()?;
        in_layer(&self.name, x.linear(self.weight.tensor()?, bias))
    }
}
