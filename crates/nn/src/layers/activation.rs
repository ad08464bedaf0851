//! Activations as layers.

pub use wgrad_autograd::Activation;
use wgrad_autograd::Tensor;

use super::{Mode, Module};
use crate::Result;

/// An elementwise function as a layer, for [`super::Sequential`]. Shape: any, kept.
impl Module for Activation {
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        Ok(self.apply(x)?)
    }
}
