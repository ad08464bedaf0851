//! [`LineFile`]: a text file that grows by whole lines, and goes on where a resumed run stands.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

pub(super) struct LineFile {
    path: PathBuf,
    /// Open from the first line on: a run that fails before it has one leaves an older file as it was.
    file: Option<File>,
}

/// A pipe or a device such as /dev/stdout, which holds no older lines and must not be replaced.
pub(super) fn is_stream(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

fn append(path: &Path) -> Result<File> {
    let file = OpenOptions::new().append(true).open(path);
    file.map_err(|source| Error::Metrics { path: path.to_owned(), source })
}

impl LineFile {
    /// A new file, which replaces an older one with its first line.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = if is_stream(path) {
            Some(append(path)?)
        } else {
            wgrad_nn::file::check_writable(path)?;
            None
        };
        Ok(Self { path: path.to_owned(), file })
    }

    /// The text of a file that a resumed run goes on with; none where there is none yet.
    pub(super) fn old(path: &Path) -> Result<String> {
        if is_stream(path) {
            return Ok(String::new());
        }
        match std::fs::read(path) {
            // What is no text cannot be a line of a log, and is dropped with the lines that are none.
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            Err(source) => Err(Error::Metrics { path: path.to_owned(), source }),
        }
    }

    /// The file with this text, whole lines, instead of what it held. It holds the one or the other whenever the process ends.
    pub(super) fn replace(path: &Path, text: &str) -> Result<Self> {
        if !is_stream(path) {
            wgrad_nn::file::write_atomic(path, text.as_bytes())?;
        }
        Ok(Self { path: path.to_owned(), file: Some(append(path)?) })
    }

    /// Writes at once, so that a killed run leaves whole lines.
    pub(super) fn line(&mut self, line: &str) -> Result<()> {
        let line = format!("{line}\n");
        let Some(file) = &mut self.file else {
            *self = Self::replace(&self.path, &line)?;
            return Ok(());
        };
        file.write_all(line.as_bytes()).map_err(|source| Error::Metrics { path: self.path.clone(), source })
    }
}
