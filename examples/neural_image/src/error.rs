//! What ends the program.

use wgrad::wgpu;

/// Result of a part of the program.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What ends the program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The network, or the device under it.
    #[error(transparent)]
    Train(#[from] wgrad::train::Error),
    /// A picture that cannot be used.
    #[error("{path}: {message}")]
    Picture {
        /// The file.
        path: String,
        /// What is wrong with it.
        message: String,
    },
    /// The window system.
    #[error("no window: {0}")]
    EventLoop(#[from] winit::error::EventLoopError),
    /// The window system.
    #[error("no window: {0}")]
    Window(#[from] winit::error::OsError),
    /// Nothing can draw into the window.
    #[error("nothing can draw into the window: {0}")]
    Surface(#[from] wgpu::CreateSurfaceError),
    /// No adapter for the window.
    #[error(
        "no adapter can draw into the window: {0}; on Debian or Ubuntu: apt-get install mesa-vulkan-drivers"
    )]
    Adapter(#[from] wgpu::RequestAdapterError),
    /// No device.
    #[error("the adapter gives no device: {0}")]
    Device(#[from] wgpu::RequestDeviceError),
    /// The log file.
    #[error("cannot write the log: {0}")]
    Log(#[from] std::io::Error),
}

impl From<wgrad::autograd::Error> for Error {
    fn from(error: wgrad::autograd::Error) -> Self {
        Self::Train(error.into())
    }
}

impl From<wgrad::nn::Error> for Error {
    fn from(error: wgrad::nn::Error) -> Self {
        Self::Train(error.into())
    }
}
