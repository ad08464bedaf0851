//! Layers one after the other.

use wgrad_autograd::Tensor;

use super::{Mode, Module};
use crate::{Builder, Result};

/// Layers one after the other, whose parameters are named by their position, as PyTorch's `Sequential` does.
pub struct Sequential {
    builder: Builder,
    layers: Vec<Box<dyn Module + Send + Sync>>,
}

impl Sequential {
    /// No layers yet.
    pub fn new(builder: &Builder) -> Self {
        Self { builder: builder.clone(), layers: Vec::new() }
    }

    /// Appends the layer that `make` builds in the next position's scope.
    pub fn with<M: Module + Send + Sync + 'static>(mut self, make: impl FnOnce(&Builder) -> M) -> Self {
        let layer = make(&self.builder.scope(self.layers.len().to_string()));
        self.layers.push(Box::new(layer));
        self
    }
}

impl Sequential {
    /// The output for `x`, in training or in evaluation.
    ///
    /// # Errors
    /// [`crate::Error::Layer`] if `x` does not fit.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut y = x.clone();
        for layer in &self.layers {
            y = layer.forward(&y, mode)?;
        }
        Ok(y)
    }
}

impl Module for Sequential {
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        self.forward(x, mode)
    }
}
