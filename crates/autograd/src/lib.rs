//! Tensors on the GPU, the ops on them, and their gradients.
//!
//! An op checks its input, appends launches to the device's recording and returns at once. Where an input tracks gradients it
//! also hangs an [`Op`] on the result, which [`Tensor::backward`] asks for the gradient of each input. Gradients come back in a
//! [`Gradients`] store.
//!
//! ```no_run
//! use wgrad_autograd::{Gpu, Tensor};
//!
//! let gpu = Gpu::new()?;
//! let w = Tensor::from_slice(&gpu, &[2.0, -1.0], &[2])?.tracked();
//! let loss = w.square()?.sum_all()?;
//! let gradients = loss.backward()?;
//! assert_eq!(gradients.get(&w).unwrap().to_vec()?, [4.0, -2.0]);
//! # Ok::<(), wgrad_autograd::Error>(())
//! ```

mod dtype;
mod error;
mod gradients;
mod graph;
mod launch;
mod ops;
mod products;
mod shape;
mod tensor;
mod walk;

pub use dtype::{DType, Element};
pub use error::{Error, Result};
pub use gradients::Gradients;
pub use graph::{Op, no_grad, saved_output};
pub use half::f16;
pub use ops::batch_norm::{BatchNormOptions, RunningStats};
pub use ops::elementwise::Elementwise;
pub use ops::loss::CrossEntropyOptions;
pub use ops::movement::concat;
pub use ops::pool::Pool2dOptions;
pub use ops::texture::TextureOptions;
pub use products::{Activation, Conv2dOptions, ConvTranspose2dOptions, Epilogue, MatmulOptions};
pub use tensor::Tensor;
pub use walk::grad;
pub use wgrad_device as device;
pub use wgrad_device::Gpu;
