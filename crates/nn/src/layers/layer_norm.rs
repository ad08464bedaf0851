//! Layer normalisation.

use wgrad_autograd::Tensor;

use super::{Mode, Module, in_layer, name_of};
use crate::{Builder, Init, Param, Result};

/// Rows along the last axis brought to mean 0 and variance 1, then scaled and shifted. Counterpart: `torch.nn.LayerNorm`.
///
/// Shape: `[.., width]`, kept; weight and bias `[width]`.
pub struct LayerNorm {
    name: String,
    weight: Param,
    bias: Option<Param>,
    eps: f32,
}

impl LayerNorm {
    /// With PyTorch's defaults: weight 1, bias 0, and 1e-5 added to the variance.
    pub fn new(builder: &Builder, width: usize) -> Self {
        let bias = Some(builder.param("bias", &[width], Init::Constant(0.0)));
        Self { bias, ..Self::without_bias(builder, width) }
    }

    /// As [`LayerNorm::new`], without bias.
    pub fn without_bias(builder: &Builder, width: usize) -> Self {
        let weight = builder.param("weight", &[width], Init::Constant(1.0));
        Self { name: name_of(builder, "LayerNorm"), weight, bias: None, eps: 1e-5 }
    }

    /// This layer with another number added to the variance.
    pub fn with_eps(mut self, eps: f32) -> Self {
        self.eps = eps;
        self
    }

    /// The output for `x`.
    ///
    /// # Errors
    /// [`Error::Layer`](crate::Error::Layer), which names the layer, if `x` does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let bias = self.bias.as_ref().map(Param::tensor).transpose()?;
        in_layer(&self.name, x.layer_norm(Some(self.weight.tensor()?), bias, self.eps))
    }
}

impl Module for LayerNorm {
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        self.forward(x)
    }
}
