//! Data sets: tables, folders of images, splits, and the batches that are made of them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[cfg(feature = "image-files")]
mod folder;
#[cfg(feature = "tables")]
mod table;
