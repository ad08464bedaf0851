//! Layers: parameters, options and a forward pass that is one or two ops.

mod activation;
mod batch_norm2d;
mod conv2d;
mod conv_transpose2d;
mod dropout;
mod embedding;
mod layer_norm;
mod linear;
mod pool;
mod residual;
mod sequential;

use wgrad_autograd::Tensor;

pub use activation::Activation;
pub use batch_norm2d::BatchNorm2d;
pub use conv_transpose2d::ConvTranspose2d;
pub use conv2d::Conv2d;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use pool::{AvgPool2d, Flatten, GlobalAvgPool2d, GlobalMaxPool2d, MaxPool2d};
pub use residual::Residual;
pub use sequential::Sequential;

use crate::{Error, Result};

/// Whether a forward pass belongs to training or to evaluation: layers such as dropout differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As part of a training step.
    Train,
    /// To measure or to predict.
    Eval,
}

/// A function of one tensor, with or without parameters, for [`Sequential`] and for whoever takes any such model.
///
/// Layers and models have a `forward` of their own beside it, with whatever takes part: a mode where training and
/// evaluation differ, a mask, a state.
pub trait Module {
    /// The output for `x`.
    ///
    /// # Errors
    /// [`Error::Layer`], which names the layer, if `x` does not fit.
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor>;
}

/// What errors call a layer: its dotted name, or its kind where it was built on a builder without one.
fn name_of(builder: &crate::Builder, kind: &str) -> String {
    if builder.name().is_empty() { kind.to_owned() } else { builder.name().to_owned() }
}

/// Names the layer in an op's error.
fn in_layer(layer: &str, result: wgrad_autograd::Result<Tensor>) -> Result<Tensor> {
    result.map_err(|source| Error::Layer { layer: layer.to_owned(), source })
}
