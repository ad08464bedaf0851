//! Files that are whole or absent.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The file that `path` stands for, symbolic links followed, so that a rename replaces the file and not the link. A
/// folder or a device such as `/dev/null` is refused: a rename would put a plain file in its place.
fn regular(path: &Path) -> std::io::Result<PathBuf> {
    match std::fs::canonicalize(path) {
        Ok(found) if found.is_dir() => Err(std::io::ErrorKind::IsADirectory.into()),
        Ok(found) if found.is_file() => Ok(found),
        Ok(_) => Err(std::io::Error::other("not a regular file")),
        Err(_) => Ok(path.to_owned()),
    }
}

/// How the name of a file begins and ends until it is whole.
const UNFINISHED: (&str, &str) = (".wgrad-", ".part");

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Writes `bytes` to a temporary file beside `path`, syncs it, renames it to `path` and syncs the folder. Whenever the
/// process is killed, `path` holds either its old content or the new one.
///
/// # Errors
/// [`Error::Write`]; what was there before is untouched.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |source: std::io::Error| Error::Write { path: path.to_owned(), source };
    let target = regular(path).map_err(failed)?;
    let folder = folder_of(&target);
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED.0).suffix(UNFINISHED.1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // Temporary files are private by default; a saved model is as readable as the user's other files.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(&target).map_err(|error| failed(error.error))?;
    #[cfg(unix)]
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(())
}

/// Removes, as far as it can, what [`write_atomic`] left in `folder` where its process was killed. For a folder in which no other
/// process writes: nothing tells its files from those.
pub fn remove_unfinished(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_unfinished =
            name.to_str().is_some_and(|name| name.starts_with(UNFINISHED.0) && name.ends_with(UNFINISHED.1));
        if is_unfinished {
            // It is tried again at the next run.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Whether a file can be made beside `path`, found out by making one.
///
/// # Errors
/// [`Error::Write`].
pub fn check_writable(path: &Path) -> Result<()> {
    let probe = regular(path)
        .and_then(|target| tempfile::Builder::new().prefix(".wgrad-").tempfile_in(folder_of(&target)));
    probe.map(drop).map_err(|source| Error::Write { path: path.to_owned(), source })
}
