//! The tests of autograd, device and nn that need an adapter, in one program: `ci/gpu pack` takes it to machines with a
//! GPU, where a program for each file would be seven times the size, for all of them hold wgpu. Here nothing runs it;
//! `cargo test` runs the same files in their own crates.

#![allow(
    clippy::unwrap_used,
    clippy::duplicate_mod,
    reason = "a test may panic, and files share what they share"
)]

#[path = "../../../autograd/tests/doors.rs"]
mod autograd_doors;
#[path = "../../../autograd/tests/graph.rs"]
mod autograd_graph;
#[path = "../../../autograd/tests/half.rs"]
mod autograd_half;
#[path = "../../../autograd/tests/norms.rs"]
mod autograd_norms;
#[path = "../../../autograd/tests/ops.rs"]
mod autograd_ops;
#[path = "../../../autograd/tests/parts.rs"]
mod autograd_parts;
#[path = "../../../autograd/tests/products.rs"]
mod autograd_products;
#[path = "../../../autograd/tests/races.rs"]
mod autograd_races;
#[path = "../../../autograd/tests/rows.rs"]
mod autograd_rows;
#[path = "../../../autograd/tests/second.rs"]
mod autograd_second;
#[path = "../../../autograd/tests/tensor.rs"]
mod autograd_tensor;
#[path = "../../../autograd/tests/table/mod.rs"]
mod table;

// Under the names by which these files know each other.
#[path = "../../../autograd/tests/embedding/app.rs"]
mod app;
#[path = "../../../autograd/tests/embedding/buffers.rs"]
mod buffers;
#[path = "../../../autograd/tests/embedding/textures.rs"]
mod textures;

#[path = "../../../device/tests/buffers.rs"]
mod device_buffers;
#[path = "../../../device/tests/devices.rs"]
mod device_devices;
#[path = "../../../device/tests/launches.rs"]
mod device_launches;
#[path = "../../../device/tests/profile.rs"]
mod device_profile;
#[path = "../../../device/tests/slices.rs"]
mod device_slices;
#[path = "../../../device/tests/helpers.rs"]
mod helpers;

#[path = "../../../nn/tests/nn/common.rs"]
mod common;
#[path = "../../../nn/tests/nn/curves.rs"]
mod curves;
#[path = "../../../nn/tests/nn/inits.rs"]
mod inits;
#[path = "../../../nn/tests/nn/layers.rs"]
mod layers;
#[path = "../../../nn/tests/nn/loss_options.rs"]
mod loss_options;
#[path = "../../../nn/tests/nn/losses.rs"]
mod losses;
#[path = "../../../nn/tests/nn/models.rs"]
mod models;
#[path = "../../../nn/tests/nn/optimizer_steps.rs"]
mod optimizer_steps;
#[path = "../../../nn/tests/nn/optimizers.rs"]
mod optimizers;
#[path = "../../../nn/tests/nn/own_optimizer.rs"]
mod own_optimizer;
#[path = "../../../nn/tests/nn/parameters.rs"]
mod parameters;
#[path = "../../../nn/tests/nn/ranks.rs"]
mod ranks;
#[path = "../../../nn/tests/nn/reproducible.rs"]
mod reproducible;
#[path = "../../../nn/tests/nn/resnet_layers.rs"]
mod resnet_layers;
#[path = "../../../nn/tests/nn/shares.rs"]
mod shares;
#[path = "../../../nn/tests/nn/sharing.rs"]
mod sharing;
#[path = "../../../nn/tests/nn/state_dicts.rs"]
mod state_dicts;
#[path = "../../../nn/tests/nn/synchronized.rs"]
mod synchronized;
#[path = "../../../nn/tests/nn/text_layers.rs"]
mod text_layers;
