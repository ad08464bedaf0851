//! Fetching CIFAR-10 from its official address (cargo feature `download`).
//!
//! The archive goes to a temporary file beside its destination; its length and sha256 are computed as
//! the bytes arrive. Only then is it unpacked, to a temporary folder: the few entries that the data
//! set needs, by their exact names and under names of our own, whatever else the archive holds. Last
//! the folder is renamed into place, so that an interrupted download leaves nothing half done.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::bufread::GzDecoder;
use sha2::{Digest, Sha256};

use crate::cifar10::{FILES, NAMES_FILE, SUBFOLDER};
use crate::{Error, Result};

/// An archive: where it is, and what it must be.
struct Archive<'a> {
    url: &'a str,
    /// Lower-case hexadecimal digits.
    sha256: &'a str,
    bytes: u64,
}

/// The official archive.
const CIFAR10: Archive<'static> = Archive {
    url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    bytes: 170_052_171,
};

/// Bytes of each official data file: 10,000 records of 3,073.
const FILE_BYTES: u64 = 30_730_000;

/// A list of ten names is shorter than this.
const NAMES_BYTES: u64 = 4096;

/// Downloads CIFAR-10 (170 MB) to `folder`, which is made if it is not there, and returns the folder
/// of the `.bin` files, for [`cifar10::load`](crate::cifar10::load). Where `folder` already holds all
/// of them at their official size, nothing is fetched. `progress` is called as bytes arrive, with
/// their number so far and the total.
///
/// Proxies named by the usual environment variables are used. A connection that says nothing for a
/// minute is given up.
///
/// # Errors
/// [`Error::Download`] where the server does not answer, refuses, stops early or sends something else
/// than the official archive; [`Error::Write`] where `folder` cannot be written. What was in `folder`
/// before then stays as it was.
pub fn cifar10(folder: &Path, progress: impl FnMut(u64, u64)) -> Result<PathBuf> {
    if let Some(found) = official_files(folder) {
        return Ok(found);
    }
    fetch(&agent().build(), &CIFAR10, folder, progress)
}

fn official_files(folder: &Path) -> Option<PathBuf> {
    let complete = |folder: &PathBuf| {
        let size = |name| fs::metadata(folder.join(name)).map_or(0, |metadata| metadata.len());
        FILES.iter().all(|name| size(name) == FILE_BYTES)
    };
    [folder.to_path_buf(), folder.join(SUBFOLDER)].into_iter().find(complete)
}

type AgentBuilder = ureq::config::ConfigBuilder<ureq::typestate::AgentScope>;

fn agent() -> AgentBuilder {
    let minute = Some(Duration::from_secs(60));
    ureq::Agent::config_builder()
        .timeout_connect(minute)
        .timeout_recv_response(minute)
        .timeout_per_read(minute)
}

fn fetch(
    config: &ureq::config::Config,
    archive: &Archive,
    folder: &Path,
    progress: impl FnMut(u64, u64),
) -> Result<PathBuf> {
    fs::create_dir_all(folder).map_err(Error::write(folder))?;
    // Beside the destination, so that the last step is a rename within one file system. Both are
    // removed when dropped, whatever happens.
    let mut builder = tempfile::Builder::new();
    builder.prefix(".cifar10-download-");
    let mut file = tempfile::tempfile_in(folder).map_err(Error::write(folder))?;
    let scratch = builder.tempdir_in(folder).map_err(Error::write(folder))?;

    receive(config, archive, &mut file, folder, progress)?;
    file.rewind().map_err(Error::read(folder))?;
    // A folder inside the private temporary one gets the usual permissions, and keeps them when moved.
    let unpacked = scratch.path().join(SUBFOLDER);
    fs::create_dir(&unpacked).map_err(Error::write(&unpacked))?;
    unpack(archive, file, &unpacked)?;
    let destination = folder.join(SUBFOLDER);
    move_into_place(&unpacked, &destination)?;
    Ok(destination)
}

/// Streams the archive to `file`, and checks its length and its sha256.
fn receive(
    config: &ureq::config::Config,
    archive: &Archive,
    file: &mut File,
    folder: &Path,
    mut progress: impl FnMut(u64, u64),
) -> Result<()> {
    let total = archive.bytes;
    let mut response =
        config.new_agent().get(archive.url).call().map_err(|error| archive.failed(error.to_string()))?;
    let body = response.body_mut();
    if let Some(offered) = body.content_length().filter(|&length| length != total) {
        return Err(archive.failed(format!("the server offers {offered} bytes; expected {total}")));
    }
    let mut reader = body.as_reader();
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut received: u64 = 0;
    while received <= total {
        let count = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(archive.failed(format!("{error} after {received} of {total} bytes")));
            }
        };
        digest.update(&buffer[..count]);
        file.write_all(&buffer[..count]).map_err(Error::write(folder))?;
        received += count as u64;
        progress(received.min(total), total);
    }
    if received != total {
        let order = if received > total { "more" } else { "fewer" };
        return Err(archive.failed(format!("{order} than the expected {total} bytes arrived")));
    }
    let found: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found != archive.sha256 {
        return Err(archive.failed(format!("its sha256 is {found}; expected {}", archive.sha256)));
    }
    Ok(())
}

/// Unpacks the wanted entries of `file` to `folder`, which is empty.
fn unpack(archive: &Archive, file: File, folder: &Path) -> Result<()> {
    let unreadable = |error: io::Error| archive.failed(format!("its archive cannot be read: {error}"));
    let mut tar = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
    let mut unpacked = Vec::new();
    for entry in tar.entries().map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let Some(name) = wanted(&entry) else { continue };
        let (size, path) = (entry.size(), folder.join(name));
        let limit = if name == NAMES_FILE { NAMES_BYTES } else { FILE_BYTES };
        if size > limit || unpacked.contains(&name) {
            let reason =
                format!("its archive holds {name} twice, or with {size} bytes; expected at most {limit}");
            return Err(archive.failed(reason));
        }
        let mut bytes = Vec::new();
        entry.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
        let written = File::create_new(&path)
            .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()));
        written.map_err(Error::write(&path))?;
        unpacked.push(name);
    }
    match FILES.iter().find(|name| !unpacked.contains(name)) {
        Some(name) => Err(archive.failed(format!("its archive lacks {SUBFOLDER}/{name}"))),
        None => Ok(()),
    }
}

/// Which of the data set's files an entry of the archive is, if any. The name comes from our own list:
/// a path from the archive is compared, and never used.
fn wanted(entry: &tar::Entry<impl Read>) -> Option<&'static str> {
    if !entry.header().entry_type().is_file() {
        return None;
    }
    let path = entry.path_bytes();
    let path = path.strip_prefix(b"./").unwrap_or(&path);
    let name = path.strip_prefix(SUBFOLDER.as_bytes())?.strip_prefix(b"/")?;
    FILES.into_iter().chain([NAMES_FILE]).find(|wanted| wanted.as_bytes() == name)
}

/// Moves the folder `unpacked` to `destination`. Where there is a folder already, it may hold files of
/// the user's as well: only the data set's own files in it are replaced, each in one step.
fn move_into_place(unpacked: &Path, destination: &Path) -> Result<()> {
    if !destination.exists() {
        return fs::rename(unpacked, destination).map_err(Error::write(destination));
    }
    for name in FILES.into_iter().chain([NAMES_FILE]) {
        let (from, to) = (unpacked.join(name), destination.join(name));
        if from.exists() {
            fs::rename(from, &to).map_err(Error::write(&to))?;
        }
    }
    Ok(())
}

impl Archive<'_> {
    fn failed(&self, reason: String) -> Error {
        Error::Download { url: self.url.to_string(), reason }
    }
}

#[cfg(test)]
mod tests;
