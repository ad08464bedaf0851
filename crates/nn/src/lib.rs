//! Layers, parameters, initialisation, optimizers and state dicts.
//!
//! A [`Builder`] hands out parameters under dotted names, in PyTorch's order and layout; [`Builder::finish`] puts
//! them all into one flat buffer, so that a checkpoint reads all of them at once.
//!
//! ```no_run
//! use wgrad_nn::{Builder, Linear, Mode, Module, Optimizer, Sgd, SgdOptions};
//! use wgrad_nn::autograd::{Gpu, Tensor};
//!
//! let gpu = Gpu::new()?;
//! let builder = Builder::new(&gpu, 0);
//! let layer = Linear::new(&builder.scope("fc"), 2, 1);
//! let parameters = builder.finish()?;
//! let mut sgd = Sgd::new(&parameters, SgdOptions { lr: 0.1, ..Default::default() })?;
//!
//! let x = Tensor::from_slice(&gpu, &[1.0, 2.0], &[1, 2])?;
//! let loss = layer.forward(&x, Mode::Train)?.square()?.mean_all()?;
//! sgd.step(&parameters, &loss.backward()?)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builder;
mod error;
#[cfg(not(target_arch = "wasm32"))]
pub mod file;
mod init;
mod integer;
mod layers;
mod optim;
mod parameters;
mod schedule;
mod state_dict;

pub use builder::{Builder, Param};
pub use error::{Error, Result};
pub use init::Init;
pub use integer::Integer;
pub use layers::{
    Activation, AvgPool2d, BatchNorm2d, Conv2d, Dropout, Flatten, GlobalAvgPool2d, GlobalMaxPool2d, Linear,
    MaxPool2d, Mode, Module, Residual, Sequential,
};
pub use optim::{Adam, AdamOptions, Optimizer, Sgd, SgdOptions, Slot};
pub use parameters::{Entry, Parameters};
pub use schedule::{Anneal, OneCycle};
pub use state_dict::StateDict;
pub use wgrad_autograd as autograd;
