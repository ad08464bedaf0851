//! Errors of tensors and ops.

use std::sync::Arc;

/// Result of an op.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of an op: its input does not fit, or the device failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Shapes or options that don't fit the op. The message gives the shapes and what would be right.
    #[error("{op}: {message}")]
    Shape {
        /// The op.
        op: &'static str,
        /// What does not fit.
        message: String,
    },
    /// Element types that don't fit the op, or that differ where they must be equal. The message gives shapes and types.
    #[error("{op}: {message}")]
    DType {
        /// The op.
        op: &'static str,
        /// What does not fit.
        message: String,
    },
    /// A gradient of gradients through an op that has none.
    #[error("backward: the gradient of {op} has no derivative of its own, so second derivatives end here")]
    NoSecondDerivative {
        /// The op.
        op: &'static str,
    },
    /// A tensor that the adapter cannot hold.
    #[error(
        "a tensor {shape:?} needs {}, over this adapter's {limit_name} of {limit} bytes; {advice}",
        in_bytes(*bytes)
    )]
    TooLarge {
        /// The tensor's shape.
        shape: Vec<usize>,
        /// Its size; [`u64::MAX`] where it overflows 64 bits.
        bytes: u64,
        /// The wgpu limit.
        limit_name: &'static str,
        /// The limit's value.
        limit: u64,
        /// The first axis (the batch) that would fit.
        advice: String,
    },
    /// A backward pass through an op that reads again what it read in the forward pass, and that was changed in between:
    /// its gradient would be that of other values.
    #[error(
        "backward: {tensor} was changed after {op} read it in the forward pass (by an optimizer's step, by loading or writing values); \
         call backward before that, or run the forward pass again"
    )]
    Changed {
        /// The op.
        op: &'static str,
        /// The dotted name, where it is a parameter or buffer of a model.
        tensor: String,
    },
    /// A second walk through a graph whose saved tensors the first one freed.
    #[error(
        "backward: this graph was walked before and its saved tensors are freed; run the forward pass again"
    )]
    AlreadyWalked,
    /// `backward` on a tensor that depends on nothing tracked.
    #[error("backward: the tensor does not depend on any tensor made with tracked()")]
    NotTracked,
    /// A feature that the device was made without.
    #[error("{op}: this device has no {feature}; {advice}")]
    Unsupported {
        /// The op.
        op: &'static str,
        /// What is missing.
        feature: &'static str,
        /// What to do instead.
        advice: &'static str,
    },
    /// What an op needs beside the device failed, such as the ranks that it sums over.
    #[error("{op}: {source}")]
    Other {
        /// The op.
        op: &'static str,
        /// What failed.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The device failed.
    #[error(transparent)]
    Device(#[from] wgrad_device::Error),
}

/// A size in words.
fn in_bytes(bytes: u64) -> String {
    if bytes == u64::MAX { "a size that overflows 64 bits".to_owned() } else { format!("{bytes} bytes") }
}

impl Error {
    /// An [`Error::Shape`].
    pub fn shape(op: &'static str, message: impl Into<String>) -> Self {
        Self::Shape { op, message: message.into() }
    }
}
