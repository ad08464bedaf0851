//! Runs the `cifar10` example as its users do: bad input of every kind, interruption, kills, exact resumption.
//! The data sets are a few dozen images that the tests write, so that a step takes milliseconds.
#![allow(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

mod checkpoints;
mod data;
mod outputs;
mod resnet9;
mod runs;
mod stops;
mod support;
mod usage;
