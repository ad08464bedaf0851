//! Where a file lies in a folder: by itself, or in a folder of its name, as some archives have it.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The first file of `folder` that has one of `names`, else the first in one of the folders that have such a name. Where
/// neither is, but something else has a name, that is returned, so that its reader can say what stands there.
pub(crate) fn find(folder: &Path, names: &[String]) -> Result<Option<PathBuf>> {
    let mut others = Vec::new();
    for path in names.iter().map(|name| folder.join(name)) {
        match metadata(&path)? {
            Some(found) if found.is_file() => return Ok(Some(path)),
            Some(_) => others.push(path),
            None => {}
        }
    }
    for path in others.iter().flat_map(|other| names.iter().map(|name| other.join(name))) {
        if metadata(&path)?.is_some_and(|found| found.is_file()) {
            return Ok(Some(path));
        }
    }
    Ok(others.into_iter().next())
}

/// `None` where nothing is, or where a part of the path is a file.
fn metadata(path: &Path) -> Result<Option<Metadata>> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(Error::read(path)(error)),
    }
}
