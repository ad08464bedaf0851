//! All tests of this crate that need an adapter, in one program, since each program holds wgpu.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "embedding/app.rs"]
mod app;
#[path = "embedding/buffers.rs"]
mod buffers;
#[path = "changes.rs"]
mod changes;
#[path = "doors.rs"]
mod doors;
#[path = "graph.rs"]
mod graph;
#[path = "half.rs"]
mod half;
#[path = "lengths.rs"]
mod lengths;
#[path = "norms.rs"]
mod norms;
#[path = "ops.rs"]
mod ops;
#[path = "parts.rs"]
mod parts;
#[path = "products.rs"]
mod products;
#[path = "races.rs"]
mod races;
#[path = "rows.rs"]
mod rows;
#[path = "second.rs"]
mod second;
mod table;
#[path = "tensor.rs"]
mod tensor;
#[path = "embedding/textures.rs"]
mod textures;
#[path = "writers.rs"]
mod writers;
