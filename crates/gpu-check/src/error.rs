//! What can go wrong.

use std::path::{Path, PathBuf};

/// Result of a part.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The engine could not do what was asked.
    #[error(transparent)]
    Device(#[from] wgrad::device::Error),
    /// The engine could not do what was asked.
    #[error(transparent)]
    Tensor(#[from] wgrad::autograd::Error),
    /// The engine could not do what was asked.
    #[error(transparent)]
    Model(#[from] wgrad::nn::Error),
    /// The driver tells nothing of the kernels.
    #[error(transparent)]
    Kernels(#[from] wgrad_gpu_report::Error),
    /// A file or process could not be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or program.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A name that nothing is measured by.
    #[error("nothing is measured by the name {0:?}")]
    Name(String),
    /// Values that are not those of the f64 reference.
    #[error("wrong: {0}")]
    Wrong(String),
    /// A process that is of no further use.
    #[error("{0}")]
    Ended(String),
    /// What a run cannot begin with.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// The message on one line of a bearable length.
    pub fn line(&self) -> String {
        one_line(&self.to_string())
    }
}

/// A text on one line of a bearable length.
pub fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(400) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}

/// Names the file in the error.
pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.as_ref().to_owned();
    move |source| Error::Io { path, source }
}
