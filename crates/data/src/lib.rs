//! Data sets of wgrad: labelled images as bytes, on the host and on the device.
//!
//! - [`cifar10`]: the binary version of CIFAR-10, checked strictly, and where to look for it;
//! - [`cifar100`]: CIFAR-100 in its binary version, by its fine labels;
//! - [`mnist`]: MNIST and its drop-in relatives (Fashion-MNIST) as idx files, plain or gzip;
//! - [`synthetic`]: ten classes of drawn figures, any number of images from a seed, no files needed;
//! - `folder` (feature `image-files`): folders of PNG and JPEG files, one folder a class;
//! - `table` (feature `tables`): CSV files, and the preprocessing that a model keeps of them;
//! - `tensors` (feature `safetensors`): inputs and targets in a safetensors file;
//! - [`detect`]: which of these a path holds;
//! - `download` (feature `download`): the official CIFAR-10 archive, its sha256 checked.
//!
//! - [`DeviceImages`]: a data set on the device, from which kernels shuffle, gather and normalise batches;
//! - [`split`](mod@split): splits and folds with a seed, class weights, weighted sampling;
//! - [`Batches`]: what a training loop takes batches from, with [`ImageBatches`] and [`TensorBatches`], and
//!   `StreamedImages` (feature `image-files`) for more images than the device holds.
//!
//! Every loader of images returns a [`Split`] of [`Images`]: bytes in `[n, channels, height, width]` order with
//! one label a picture. Nothing is normalised on the host: bytes are a quarter of the
//! size of floats, and the device has them in a moment.
//!
//! A loader trusts nothing in a file: sizes are compared with the file's length before memory is
//! taken, and every [`Error`] names the file, what was found and what was expected.
//!
//! ```
//! let split = wgrad_data::synthetic::split(100, 50, 7);
//! assert_eq!((split.train.len(), split.test.len()), (100, 50));
//! assert_eq!(split.train.shape(), [3, 32, 32]);
//! assert_eq!(split.train.classes[0], "disc");
//! ```
// Files are read without it; only launches of kernels are allowed it.
#![deny(unsafe_code)]

#[cfg(not(target_arch = "wasm32"))]
mod batches;
#[cfg(not(target_arch = "wasm32"))]
pub mod cifar10;
#[cfg(not(target_arch = "wasm32"))]
pub mod cifar100;
#[cfg(not(target_arch = "wasm32"))]
mod detect;
mod device;
#[cfg(feature = "download")]
pub mod download;
mod error;
#[cfg(not(target_arch = "wasm32"))]
mod files;
#[cfg(feature = "image-files")]
pub mod folder;
mod images;
#[cfg(not(target_arch = "wasm32"))]
pub mod mnist;
mod normalize;
mod order;
#[cfg(not(target_arch = "wasm32"))]
pub mod split;
#[cfg(feature = "image-files")]
mod stream;
pub mod synthetic;
#[cfg(feature = "tables")]
pub mod table;
#[cfg(feature = "safetensors")]
pub mod tensors;

pub use device::{Augment, DeviceImages, Draw};
pub use error::{Error, Result};
pub use images::{Images, Split};
pub use normalize::{ChannelStats, Normalize};
pub use order::shuffled_row;
#[cfg(feature = "image-files")]
pub use stream::StreamedImages;
#[cfg(not(target_arch = "wasm32"))]
pub use {
    batches::{Batch, Batches, ImageBatches, Order, TensorBatches},
    detect::{Kind, detect},
};
