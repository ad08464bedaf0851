//! Data sets: what is read and what is refused, splits, and the batches that are made of them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod augment;
mod batches;
mod cifar10;
mod cifar100;
mod detect;
mod device;
#[cfg(feature = "image-files")]
mod folder;
mod mnist;
mod split;
#[cfg(feature = "image-files")]
mod stream;
#[cfg(feature = "tables")]
mod table;
#[cfg(feature = "safetensors")]
mod tensors;
