//! The `wgrad` command: its parts for whoever reads its files.
//!
//! - [`ModelFile`]: a trained model as one safetensors file, weights and all that using it takes;
//! - [`Architecture`]: what such a file says of the model, with its layers, sizes and costs;
//! - [`config`]: configurations of a training run, and [`presets`], which are such configurations;
//! - [`main`]: the command.
#![deny(unsafe_code)]

mod architecture;
mod args;
mod commands;
pub mod config;
mod dataset;
mod error;
mod generate;
mod learner;
mod model_file;
mod objective;
mod optimizer;
mod output;
pub mod presets;
mod recipe;
mod report;
mod tensors;

pub use architecture::{ActivationName, Architecture, Layer, Summary};
pub use args::main;
pub use error::{Error, Result};
pub use model_file::{ModelFile, Preprocessing};
pub use tensors::{TensorSchema, TensorTarget};
