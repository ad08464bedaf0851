//! Activations as layers.

use wgrad_autograd::Tensor;

use super::{Mode, Module};
use crate::Result;

/// An elementwise function as a layer, for [`super::Sequential`]. Shape: any, kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `x·Φ(x)`, exact.
    Gelu,
}

impl Activation {
    /// The output for `x`.
    ///
    /// # Errors
    /// [`crate::Error::Layer`] if `x` does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Relu => x.relu(),
            Self::Sigmoid => x.sigmoid(),
            Self::Tanh => x.tanh(),
            Self::Gelu => x.gelu(),
        }?)
    }
}

impl Module for Activation {
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        self.forward(x)
    }
}
