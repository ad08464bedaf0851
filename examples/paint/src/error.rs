//! What can go wrong while the program runs: shown in the window.

use wgrad::wgpu;

/// What can go wrong while the program runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The network or the device.
    #[error(transparent)]
    Train(#[from] wgrad::train::Error),
    /// The log file.
    #[error("cannot write the log: {0}")]
    Log(#[from] std::io::Error),
    /// The window's device.
    #[error("the window's device: {0}")]
    Device(#[from] wgpu::PollError),
    /// The loss is no number.
    #[error("the loss is not finite: some drawings may have the wrong class")]
    Diverged,
}
