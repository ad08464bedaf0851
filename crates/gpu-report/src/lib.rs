//! What a GPU's compiler makes of wgrad's kernels: which modules some work launches, what the driver says of each
//! (`VK_KHR_pipeline_executable_properties`), and the report on three AMD GPUs that `ci/gpu-report` writes.

pub mod assembly;
pub mod compile;
pub mod launches;
pub mod peak;
pub mod report;
pub mod vulkan;

use std::path::PathBuf;

/// An error of the report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The engine could not record the work.
    #[error(transparent)]
    Device(#[from] wgrad::device::Error),
    /// The engine could not record the work.
    #[error(transparent)]
    Tensor(#[from] wgrad::autograd::Error),
    /// The engine could not record the work.
    #[error(transparent)]
    Model(#[from] wgrad::nn::Error),
    /// The synthetic images could not be made.
    #[error(transparent)]
    Data(#[from] wgrad::data::Error),
    /// RADV's null device did not do its part.
    #[error(
        "{what}: {message}; Debian's packages mesa-vulkan-drivers and libvulkan1 hold RADV and the loader"
    )]
    Radv {
        /// What was asked for.
        what: String,
        /// The driver's words.
        message: String,
    },
    /// The driver cannot tell of its pipelines.
    #[error("{device} ({driver}) has no {feature}: its compiler tells nothing of registers and spills")]
    Unsupported {
        /// The device's name.
        device: String,
        /// The driver.
        driver: String,
        /// What it lacks.
        feature: &'static str,
    },
    /// The Vulkan driver did not do its part.
    #[error("Vulkan: {what}: {message}")]
    Driver {
        /// What was asked for.
        what: String,
        /// The driver's words.
        message: String,
    },
    /// A module that is not valid.
    #[error("not a valid module: {message}")]
    Shader {
        /// naga's words.
        message: String,
    },
    /// A file or process could not be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or program.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
}

/// Result of a part of the report.
pub type Result<T, E = Error> = std::result::Result<T, E>;
