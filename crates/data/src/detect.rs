//! Which data set a path holds.

use std::fs;
use std::path::Path;

use crate::{Error, Result, cifar10, cifar100, mnist};

/// What a path holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// CIFAR-10's binary files: [`cifar10`].
    Cifar10,
    /// CIFAR-100's binary files: [`cifar100`].
    Cifar100,
    /// The idx files of MNIST or one of its relatives: [`mnist`].
    Idx,
    /// Folders of PNG and JPEG files: `folder`, with the feature `image-files`.
    Images,
    /// A CSV file: `table`, with the feature `tables`.
    Table,
    /// A safetensors file: `tensors`, with the feature `safetensors`.
    Safetensors,
}

const LOOKED_FOR: &str = "a .csv, .tsv or .safetensors file, or a folder of CIFAR-10's or CIFAR-100's .bin files, of MNIST's idx \
    files, or of folders named by classes that hold png, jpg or jpeg files (in the folder itself or in train, val and test)";

/// Tells which data set a path holds, by names alone: a loader says whether the files are what they are called.
///
/// # Errors
/// [`Error::Read`] where the path cannot be read; [`Error::MissingFiles`] for a folder with some of a data set's files;
/// [`Error::Format`] for anything else, with all that was looked for.
pub fn detect(path: &Path) -> Result<Kind> {
    if !fs::metadata(path).map_err(Error::read(path))?.is_dir() {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        return match ending.as_deref() {
            Some("csv" | "tsv") => Ok(Kind::Table),
            Some("safetensors") => Ok(Kind::Safetensors),
            _ => Err(Error::format(path, "a file of another name", LOOKED_FOR)),
        };
    }
    let known = [
        (Kind::Cifar10, cifar10::find(path).map(drop), cifar10::FILES.len()),
        (Kind::Cifar100, cifar100::find(path).map(drop), cifar100::FILES.len()),
        (Kind::Idx, mnist::locate(path).map(drop), mnist::FILES),
    ];
    let mut partial = None;
    for (kind, found, all) in known {
        match found {
            Ok(()) => return Ok(kind),
            Err(Error::MissingFiles { files, .. }) if files.len() == all => {}
            Err(error) => partial = partial.or(Some(error)),
        }
    }
    if let Some(error) = partial {
        return Err(error);
    }
    match holds_images(path, 3)? {
        true => Ok(Kind::Images),
        false => Err(Error::format(path, "none of them", LOOKED_FOR)),
    }
}

/// Whether a picture lies in one of the folders of `folder`, down to some depth. Reading stops at the first.
fn holds_images(folder: &Path, depth: usize) -> Result<bool> {
    for entry in fs::read_dir(folder).map_err(Error::read(folder))? {
        let path = entry.map_err(Error::read(folder))?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden || !path.is_dir() {
            continue;
        }
        let picture = |path: &Path| {
            let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
            matches!(ending.as_deref(), Some("png" | "jpg" | "jpeg"))
        };
        let inside = fs::read_dir(&path).map_err(Error::read(&path))?;
        if inside.flatten().any(|entry| picture(&entry.path()))
            || (depth > 0 && holds_images(&path, depth - 1)?)
        {
            return Ok(true);
        }
    }
    Ok(false)
}
