//! The ops, one file a family. Each is a method on [`crate::Tensor`] that checks its input, appends launches and
//! records an [`crate::Op`] with what its gradient needs.

pub(crate) mod batch_norm;
pub(crate) mod binary;
pub(crate) mod conv;
mod conv_gradients;
mod conv_halves;
pub(crate) mod dropout;
pub(crate) mod loss;
pub(crate) mod matmul;
pub(crate) mod movement;
mod operators;
pub(crate) mod pool;
pub(crate) mod reduce;
pub(crate) mod softmax;
pub(crate) mod texture;
pub(crate) mod unary;
