//! A GPU-first training engine: tensors, gradients, layers and optimizers as WGSL compute shaders, on any
//! adapter that wgpu finds, down to a software one.
//!
//! A line through noisy points, from random weights to the answer:
//!
//! ```
//! use wgrad::nn::{self, Linear, Optimizer, Sgd, SgdOptions};
//! use wgrad::{Gpu, Tensor};
//!
//! let gpu = Gpu::new()?;
//! let (line, params) = nn::build(&gpu, 0, |b| Linear::new(&b.scope("line"), 1, 1))?; // 0 is the seed.
//! let mut sgd = Sgd::new(&params, SgdOptions { lr: 0.5, ..Default::default() })?;
//!
//! let x = Tensor::from_slice(&gpu, &[-1.0, -0.5, 0.0, 0.5, 1.0], &[5, 1])?;
//! let y = Tensor::from_slice(&gpu, &[-1.0, 0.1, 1.0, 1.9, 3.0], &[5, 1])?;
//! for _ in 0..100 {
//!     let loss = line.forward(&x)?.mse_loss(&y)?;
//!     sgd.step(&params.gradients(&loss)?)?;
//!     gpu.submit()?;
//! }
//! let state = params.state_dict()?;
//! let (slope, intercept) = (state.tensors["line.weight"].1[0], state.tensors["line.bias"].1[0]);
//! assert!((slope - 1.96).abs() < 1e-3 && (intercept - 1.0).abs() < 1e-3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`Gpu`] is the device, [`Tensor`] its values, and [`autograd`] the ops and their gradients;
//! - [`nn`] has layers, optimizers, and state dicts that PyTorch reads and writes;
//! - [`data`] has CIFAR-10 and 100, MNIST and a synthetic set, held on the device as bytes, and behind features of wgrad-data
//!   folders of images, which can be streamed, CSV tables and safetensors files;
//! - [`train`] has the loop over epochs, with validation, metrics, callbacks and checkpoints;
//! - [`distributed`] has the ranks that train one model together, over threads or MPI;
//! - [`device`] is the layer below, for kernels of your own and for a wgpu device that you already have.

pub use wgrad_autograd as autograd;
pub use wgrad_autograd::device::{self, optional_features, preferred_limits, wgpu};
pub use wgrad_autograd::{
    Activation, BatchNormOptions, Conv2dOptions, ConvTranspose2dOptions, CrossEntropyOptions, DType, Element,
    Elementwise, Epilogue, Gpu, MatmulOptions, Op, Pool2dOptions, RunningStats, Tensor, TextureOptions,
    concat, f16, grad, no_grad, saved_output,
};
pub use wgrad_data as data;
pub use wgrad_nn as nn;
pub use wgrad_nn::distributed;
pub use wgrad_train as train;

/// The README's program must run as it stands.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// So must those of the guide.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../docs/guide/embedding.md")]
    struct Embedding;
    #[doc = include_str!("../docs/guide/loop.md")]
    struct Loop;
    #[doc = include_str!("../docs/guide/own-op.md")]
    struct OwnOp;
    #[doc = include_str!("../docs/guide/pytorch.md")]
    struct Pytorch;
    #[doc = include_str!("../docs/guide/quick-start.md")]
    struct QuickStart;
    #[doc = include_str!("../docs/guide/training.md")]
    struct Training;
}
