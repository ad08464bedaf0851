//! What can go wrong on the device, in words for the person who has to mend it.

/// Result of a device operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the device layer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No adapter could be used.
    #[error(
        "no GPU adapter found ({tried}).\nOn Debian or Ubuntu install the software adapter: apt-get install mesa-vulkan-drivers; WGPU_BACKEND and WGPU_ADAPTER_NAME restrict the search"
    )]
    NoAdapter {
        /// What was looked at, and why each was refused.
        tried: String,
    },
    /// A buffer larger than the adapter allows.
    #[error(
        "a buffer of {bytes} bytes is over this adapter's {limit_name} of {limit} bytes: use a smaller tensor or batch"
    )]
    TooLarge {
        /// Bytes asked for.
        bytes: u64,
        /// The wgpu limit that is exceeded.
        limit_name: &'static str,
        /// Its value in bytes.
        limit: u64,
    },
    /// The adapter has no memory left, even after the pool's cached buffers were freed.
    #[error(
        "out of GPU memory: {bytes} bytes asked for while {live} bytes are in use; use a smaller batch or model"
    )]
    OutOfMemory {
        /// Bytes asked for.
        bytes: u64,
        /// Bytes in use by live buffers.
        live: u64,
    },
    /// The device is gone: reset by the driver, removed, or destroyed.
    #[error("the GPU device was lost ({reason}): create a new Gpu and continue from the last checkpoint")]
    Lost {
        /// The driver's words.
        reason: String,
    },
    /// A kernel's WGSL was refused.
    #[error("kernel {kernel} does not compile: {message}")]
    Shader {
        /// The kernel's name.
        kernel: String,
        /// The compiler's words.
        message: String,
    },
    /// A launch that would not compute what it says, or does not fit its kernel.
    #[error("launch of kernel {kernel}: {message}")]
    Launch {
        /// The kernel's name.
        kernel: String,
        /// What is wrong with it.
        message: String,
    },
    /// The backward pass of an op, run by [`crate::reading_saved`], reads what was changed since the op was recorded.
    #[error("{kernel}: {} was changed after the forward pass that reads it again", changed(name.as_deref(), *bytes))]
    Changed {
        /// The kernel that was to read it, or `copy`.
        kernel: String,
        /// Its name, where it was given one ([`crate::View::set_name`]).
        name: Option<std::sync::Arc<str>>,
        /// Bytes that were to be read.
        bytes: u64,
    },
    /// An application's buffer or texture that cannot be used as asked.
    #[error("{resource}: {message}")]
    Resource {
        /// `buffer` or `texture`.
        resource: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// wgpu refused a command.
    #[error("the GPU refused a command: {message}")]
    Validation {
        /// wgpu's words.
        message: String,
    },
    /// A buffer's content could not be read back.
    #[error("reading from the GPU failed: {message}")]
    Readback {
        /// Why.
        message: String,
    },
}

/// What was changed, in words.
fn changed(name: Option<&str>, bytes: u64) -> String {
    name.map_or_else(|| format!("a tensor of {bytes} bytes"), str::to_owned)
}
