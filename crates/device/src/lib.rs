//! The device layer of wgrad: an adapter, buffers from a pool, WGSL kernels, launches recorded as data,
//! and asynchronous readback. Only this crate calls wgpu.
//!
//! ```no_run
//! use wgrad_device::Gpu;
//!
//! let gpu = Gpu::new()?;
//! let x = gpu.upload(&[1.0f32, 2.0, 3.0])?;
//! assert_eq!(gpu.read::<f32>(&x.view(0, 12))?, [1.0, 2.0, 3.0]);
//! # Ok::<(), wgrad_device::Error>(())
//! ```

mod adapter;
mod bind_groups;
mod buffer;
mod compose;
mod costs;
mod encode;
mod error;
mod gpu;
mod health;
mod launch;
mod pipeline;
#[cfg_attr(target_arch = "wasm32", path = "platform_browser.rs")]
mod platform;
mod pool;
mod profile;
mod readback;
mod recording;
mod reflect;
#[cfg(feature = "shader-folder")]
mod shader_folder;
mod slicer;
mod texture;
mod timer;
mod writes;

pub use adapter::{Builder, optional_features, preferred_limits};
pub use buffer::{Buffer, View};
pub use error::{Error, Result};
pub use gpu::{Family, Gpu, MemoryStats};
pub use launch::{Launch, MAX_ITERATIONS};
pub use pipeline::Composed;
pub use profile::{KernelProfile, LaunchProfile, Profile, Roofline, Timing};
pub use readback::Pending;
pub use recording::Recorded;
#[cfg(feature = "shader-folder")]
pub use shader_folder::ShaderFolder;
pub use slicer::{Slice, Slicer};
pub use wgpu;
pub use wgrad_shaders as shaders;
pub use writes::reading_saved;
