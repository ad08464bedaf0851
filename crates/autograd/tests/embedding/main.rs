//! The engine on an application's wgpu device: its buffers and textures, without a copy through the host.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod app;
mod buffers;
mod textures;
