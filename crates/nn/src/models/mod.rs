//! Models that programs begin with. Each takes its sizes, names its parameters as the PyTorch module of the same layers would,
//! and is a [`crate::Module`].

mod cnn;
mod mlp;
mod resnet9;

pub use cnn::{Cnn, CnnOptions};
pub use mlp::{Mlp, MlpOptions};
pub use resnet9::{Resnet9, Resnet9Options};
