//! Layers, parameters, initialisation, losses, optimizers, schedules and state dicts.
//!
//! [`build`] makes a model and its [`Parameters`] at once. They lie in a few flat buffers, under dotted names, in PyTorch's
//! layout; so do [`Gradients`] and what an [`Optimizer`] keeps, so that what is done to all of them takes a launch or two.
//!
//! ```no_run
//! use wgrad_nn::{Linear, Optimizer, Sgd, SgdOptions, build};
//! use wgrad_nn::autograd::{Gpu, Tensor};
//!
//! let gpu = Gpu::new()?;
//! let (layer, params) = build(&gpu, 0, |b| Linear::new(&b.scope("fc"), 2, 1))?;
//! let mut sgd = Sgd::new(&params, SgdOptions { lr: 0.1, ..Default::default() })?;
//!
//! let x = Tensor::from_slice(&gpu, &[1.0, 2.0], &[1, 2])?;
//! let loss = layer.forward(&x)?.square()?.mean_all()?;
//! sgd.step(&params.gradients(&loss)?)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arithmetic;
mod builder;
mod error;
#[cfg(not(target_arch = "wasm32"))]
pub mod file;
mod flat;
mod init;
mod integer;
mod layers;
mod layout;
mod load;
pub mod losses;
pub mod models;
mod moments;
mod names;
mod optim;
mod parameters;
mod parts;
mod pattern;
mod schedule;
#[cfg(not(target_arch = "wasm32"))]
mod shares;
mod state_dict;

pub use builder::{BuildOptions, Builder, Param, build, build_with};
pub use error::{Error, Result};
pub use flat::{FlatValues, Gradients};
pub use init::{Fan, Init, Nonlinearity};
pub use integer::Integer;
pub use layers::{
    Activation, AvgPool2d, BatchNorm2d, Conv2d, ConvTranspose2d, Dropout, Embedding, Flatten,
    GlobalAvgPool2d, GlobalMaxPool2d, LayerNorm, Linear, MaxPool2d, Mode, Module, Residual, Sequential,
};
pub use layout::Entry;
pub use load::{Load, LoadReport};
pub use names::repeated_name;
pub use optim::{
    Adadelta, AdadeltaOptions, Adafactor, AdafactorOptions, Adagrad, AdagradOptions, Adam, AdamOptions,
    AmsGrad, AmsGradOptions, Lamb, LambOptions, Lion, LionOptions, Muon, MuonAdjust, MuonOptions, NAdam,
    NAdamOptions, Optim, Optimizer, OptimizerState, RmsProp, RmsPropOptions, Sgd, SgdOptions, TensorOptim,
    TensorRule, UpdateRule,
};
pub use parameters::Parameters;
pub use parts::Part;
pub use schedule::{
    Anneal, Chained, Constant, Cosine, CosineWarmRestarts, Exponential, LinearWarmUp, MultiStep, OneCycle,
    PlateauMode, PlateauOptions, PlateauState, Polynomial, ReduceOnPlateau, Schedule, StepLr,
};
pub use state_dict::StateDict;
pub use wgrad_autograd as autograd;
pub use wgrad_distributed as distributed;
