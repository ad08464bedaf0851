//! Dropout layer.

use wgrad_autograd::Tensor;

use super::{Mode, Module, in_layer};
use crate::parameters::Random;
use crate::{Builder, Result};

/// Sets elements to 0 with probability `rate` in training and divides the rest by `1 - rate`; does nothing in
/// evaluation. The rate is in `0..=1`; 1 gives zeros. Counterpart: `torch.nn.Dropout`. Shape: any, kept.
pub struct Dropout {
    rate: f32,
    random: Random,
}

impl Dropout {
    /// Draws from the builder's seed.
    pub fn new(builder: &Builder, rate: f32) -> Self {
        Self { rate, random: builder.random() }
    }
}

impl Dropout {
    /// The output for `x`, in training or in evaluation.
    ///
    /// # Errors
    /// [`crate::Error::Layer`] if `x` does not fit.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        match mode {
            // A rate that makes no sense is refused before training is.
            Mode::Eval if (0.0..=1.0).contains(&self.rate) => Ok(x.clone()),
            Mode::Eval => in_layer("Dropout", x.dropout(self.rate, 0, 0)),
            Mode::Train => {
                let (key, counter) = self.random.draw();
                in_layer("Dropout", x.dropout(self.rate, key, counter))
            }
        }
    }
}

impl Module for Dropout {
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        self.forward(x, mode)
    }
}
