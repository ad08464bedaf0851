//! The one error type of this crate.

use std::io;
#[cfg(not(target_arch = "wasm32"))]
use std::path::Path;
use std::path::PathBuf;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with a data set. Each message stands on one line and names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder that is there cannot be read, or a folder that was named is not there.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file or folder cannot be made, written or moved into place.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A folder lacks files of the data set.
    #[error("{folder} lacks {}; expected {expected}", files.join(", "))]
    MissingFiles {
        /// The folder that was searched.
        folder: PathBuf,
        /// Names of the missing files.
        files: Vec<String>,
        /// What a folder of this data set holds.
        expected: &'static str,
    },
    /// A file is not what its name promises: truncated, of odd size, or with a wrong header.
    #[error("{path}: found {found}; expected {expected}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What stands there.
        found: String,
        /// What should stand there.
        expected: String,
    },
    /// A label names no class.
    #[error("{path}: found label {label} in record {record} (from 0) at byte {offset}; expected 0 to {max}")]
    Label {
        /// The file.
        path: PathBuf,
        /// The record's number, counted from 0.
        record: usize,
        /// Where the label stands in the (unpacked) file, in bytes from its start.
        offset: u64,
        /// The label found.
        label: u8,
        /// The largest label allowed.
        max: u8,
    },
    /// Parts that do not make a set of images: see [`Images::new`](crate::Images::new).
    #[error("images: {0}")]
    Images(String),
    /// Rows that do not make a data set.
    #[error("rows: {0}")]
    Rows(String),
    /// A table that cannot be read, or lacks what is asked of it.
    #[error("{path}, line {line}: {message}")]
    Table {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1; the header's for what concerns the whole table.
        line: usize,
        /// What is wrong, and what was expected.
        message: String,
    },
    /// A field of a table that is not what its column holds.
    #[error("{path}, line {line}, column {column:?}: found {found:?}; expected {expected}")]
    Cell {
        /// The file.
        path: PathBuf,
        /// The line on which the field begins, counted from 1.
        line: usize,
        /// The column's name.
        column: String,
        /// The field.
        found: String,
        /// What should stand there.
        expected: String,
    },
    /// A table's schema that is no such thing.
    #[error("schema of a table: {0}")]
    Schema(String),
    /// What the device, or an op on it, has against a batch.
    #[error(transparent)]
    Tensor(#[from] wgrad_autograd::Error),
    /// A download failed, or brought something other than the expected archive.
    #[error("cannot download {url}: {reason}")]
    Download {
        /// The archive's address.
        url: String,
        /// What happened, and what was expected.
        reason: String,
    },
}

#[cfg(not(target_arch = "wasm32"))]
impl Error {
    /// For `map_err` on reads of `path`.
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Read { path, source }
    }

    /// For `map_err` on writes of `path`.
    #[cfg(feature = "download")]
    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Write { path, source }
    }

    pub(crate) fn format(path: &Path, found: impl Into<String>, expected: impl Into<String>) -> Error {
        Error::Format { path: path.to_path_buf(), found: found.into(), expected: expected.into() }
    }
}

/// Names in quotes, on one line: the first eight, and none longer than 40 characters.
#[cfg(any(feature = "image-files", feature = "safetensors", feature = "tables"))]
pub(crate) fn some_of<S: AsRef<str>>(names: &[S]) -> String {
    let short = |name: &S| {
        let (name, short) = (name.as_ref(), name.as_ref().chars().take(40).collect::<String>());
        format!("{short:?}{}", if short.len() < name.len() { "…" } else { "" })
    };
    let first: Vec<String> = names.iter().take(8).map(short).collect();
    format!("{}{}", first.join(", "), if names.len() > 8 { ", …" } else { "" })
}
