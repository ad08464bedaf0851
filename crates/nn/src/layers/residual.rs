//! Residual connection.

use wgrad_autograd::Tensor;

use super::{Mode, Module, in_layer, name_of};
use crate::{Builder, Result};

/// `x + f(x)`. The layer `f` keeps the shape of its input, and its names are those it has alone.
pub struct Residual<M> {
    name: String,
    layer: M,
}

impl<M: Module> Residual<M> {
    /// Around the layer that `make` builds.
    pub fn new(builder: &Builder, make: impl FnOnce(&Builder) -> M) -> Self {
        Self { name: name_of(builder, "Residual"), layer: make(builder) }
    }
}

impl<M: Module> Residual<M> {
    /// The output for `x`, in training or in evaluation.
    ///
    /// # Errors
    /// [`crate::Error::Layer`] if `x` does not fit.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let y = self.layer.forward(x, mode)?;
        in_layer(&self.name, x.add(&y))
    }
}

impl<M: Module> Module for Residual<M> {
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        self.forward(x, mode)
    }
}
