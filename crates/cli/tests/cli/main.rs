//! The `wgrad` command as a child process.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod damaged;
mod folders;
mod inspect;
mod presets;
mod ranks;
mod run;
mod stops;
mod tables;
mod tensors;
mod usage;
mod wgrad;
