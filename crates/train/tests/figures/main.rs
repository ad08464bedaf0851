//! What a run tells of itself: metrics, logs, the report.
#![allow(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

mod logs;
mod metrics;
#[cfg(feature = "report")]
mod report;
#[cfg(feature = "report")]
mod runs;
#[cfg(feature = "tensorboard")]
mod tensorboard;
mod trainer;
