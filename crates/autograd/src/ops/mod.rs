//! The ops, one file a family. Each is a method on [`crate::Tensor`] that checks its input, appends launches and
//! records an [`crate::Op`] with what its gradient needs.

pub(crate) mod argmax_mask;
pub(crate) mod batch_norm;
pub(crate) mod binary;
pub(crate) mod dropout;
pub(crate) mod elementwise;
pub(crate) mod index;
pub(crate) mod layer_norm;
pub(crate) mod loss;
pub(crate) mod movement;
mod operators;
pub(crate) mod pool;
pub(crate) mod reduce;
mod reduced;
mod reduction;
mod scan;
pub(crate) mod softmax;
pub(crate) mod texture;
pub(crate) mod unary;
