//! Rows of a table looked up by number.

use wgrad_autograd::Tensor;

use super::{in_layer, name_of};
use crate::{Builder, Init, Param, Result};

/// A table of which the input names rows, such as the vectors of a vocabulary. Counterpart: `torch.nn.Embedding`.
///
/// Shape: i32 numbers of any shape to that shape and `[width]` behind; weight `[rows, width]`.
pub struct Embedding {
    name: String,
    weight: Param,
}

impl Embedding {
    /// With PyTorch's default initialisation, the standard normal distribution.
    pub fn new(builder: &Builder, rows: usize, width: usize) -> Self {
        let weight = builder.param("weight", &[rows, width], Init::Normal { std: 1.0 });
        Self { name: name_of(builder, "Embedding"), weight }
    }

    /// The rows that `indices` names. A number that is no row gives NaN.
    ///
    /// # Errors
    /// [`Error::Layer`](crate::Error::Layer), which names the layer, if `indices` are not i32.
    pub fn forward(&self, indices: &Tensor) -> Result<Tensor> {
        in_layer(&self.name, self.weight.tensor()?.embedding(indices))
    }

    /// The whole table, `[rows, width]`, which a model's last layer may share.
    ///
    /// # Errors
    /// [`Error::Options`](crate::Error::Options) before the model is built.
    pub fn weight(&self) -> Result<&Tensor> {
        self.weight.tensor()
    }
}
