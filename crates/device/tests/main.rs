//! All tests of this crate, in one program, since each program holds wgpu.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "buffers.rs"]
mod buffers;
#[path = "devices.rs"]
mod devices;
mod helpers;
#[path = "launches.rs"]
mod launches;
#[path = "own_kernels.rs"]
mod own_kernels;
#[path = "profile.rs"]
mod profile;
#[path = "shader_folder.rs"]
mod shader_folder;
#[path = "slices.rs"]
mod slices;
