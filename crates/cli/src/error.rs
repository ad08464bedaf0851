//! What ends a command, and with which exit code.

use std::path::{Path, PathBuf};

/// Result of a part of a command.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What ends a command. Each message is a line or two: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Words on the command line, or keys of a configuration, that make no sense.
    #[error("{0}")]
    Usage(String),
    /// A file that cannot be used.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        message: String,
    },
    /// What the engine reports.
    #[error(transparent)]
    Engine(#[from] wgrad::train::Error),
}

impl Error {
    /// Of a file.
    pub(crate) fn file(path: &Path, message: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), message: message.into() }
    }

    /// Of words on the command line.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    /// The exit code of a program that ends with this error: 2 for usage, 3 for data and files, 4 for the GPU and its limits,
    /// 1 for all else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::File { .. } => 3,
            Self::Engine(error) => error.exit_code(),
        }
    }
}

impl From<wgrad::nn::Error> for Error {
    fn from(error: wgrad::nn::Error) -> Self {
        Self::Engine(error.into())
    }
}

impl From<wgrad::data::Error> for Error {
    fn from(error: wgrad::data::Error) -> Self {
        Self::Engine(error.into())
    }
}

impl From<wgrad::autograd::Error> for Error {
    fn from(error: wgrad::autograd::Error) -> Self {
        Self::Engine(error.into())
    }
}

impl From<wgrad::device::Error> for Error {
    fn from(error: wgrad::device::Error) -> Self {
        Self::Engine(error.into())
    }
}

impl From<wgrad::distributed::Error> for Error {
    fn from(error: wgrad::distributed::Error) -> Self {
        Self::Engine(error.into())
    }
}
