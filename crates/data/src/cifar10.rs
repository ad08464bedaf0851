//! CIFAR-10 in its binary version, `cifar-10-binary.tar.gz` unpacked.
//!
//! A record is 3,073 bytes: a label from 0 to 9, then the red, green and blue plane of a 32×32 image.
//! Five files hold the training images and one the test images, 10,000 records each. Any whole number
//! of records from 1 is accepted, so that a small set cut from the real one can be used as well. A file may
//! lie in a folder of its own name, as some archives have it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::{Error, Images, Result, Split, files};

/// The environment variable that names the folder of the data set.
pub const VARIABLE: &str = "CIFAR10_DIR";

/// Names of the classes, in the order of the labels.
pub const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// The folder that the official archive unpacks to.
pub(crate) const SUBFOLDER: &str = "cifar-10-batches-bin";

/// The data files: five of training images, then the test images.
pub(crate) const FILES: [&str; 6] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
    "test_batch.bin",
];

/// Names of the classes, one a line; the loader can do without.
pub(crate) const NAMES_FILE: &str = "batches.meta.txt";

const EXPECTED: &str =
    "the .bin files of cifar-10-binary.tar.gz, in the folder itself or in cifar-10-batches-bin";
const SHAPE: [usize; 3] = [3, 32, 32];
const IMAGE: usize = 3 * 32 * 32;

/// What stands in front of an image's pixels: so many bytes of labels, each with its largest value. The last counts.
#[derive(Clone, Copy)]
pub(crate) struct Layout(pub(crate) &'static [u8]);

const LAYOUT: Layout = Layout(&[9]);

impl Layout {
    fn record(self) -> usize {
        self.0.len() + IMAGE
    }
}

/// Where a data set was found; see [`locate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the folder that the user named, as in `--data DIR`.
    Named(PathBuf),
    /// In the folder that `CIFAR10_DIR` names.
    Environment(PathBuf),
    /// In the user's cache folder.
    Cache(PathBuf),
    /// Nowhere: no place was named, and the cache is empty.
    None,
}

impl Source {
    /// The folder for [`load`], if there is one.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Named(folder) | Self::Environment(folder) | Self::Cache(folder) => Some(folder),
            Self::None => None,
        }
    }
}

/// Looks for the data set: in the folder `named` by the user, else in the one of `environment` (the
/// value of `CIFAR10_DIR`; an empty one counts as unset), else in `cache` (see [`cache_folder`]).
/// Only names and kinds of files are looked at here; [`load`] checks what they hold.
///
/// # Errors
/// [`Error::Read`] or [`Error::MissingFiles`] where the folder of the flag or the variable cannot be
/// read or lacks files: what was asked for is never replaced silently. A cache that does not exist or
/// holds none of the files is [`Source::None`]; one that holds some of them is an error as well.
pub fn locate(named: Option<&Path>, environment: Option<&OsStr>, cache: Option<&Path>) -> Result<Source> {
    if let Some(folder) = named {
        return find(folder).map(Source::Named);
    }
    if let Some(folder) = environment.filter(|value| !value.is_empty()) {
        return find(Path::new(folder)).map(Source::Environment);
    }
    let Some(folder) = cache else { return Ok(Source::None) };
    match find(folder) {
        Ok(found) => Ok(Source::Cache(found)),
        Err(Error::MissingFiles { files, .. }) if files.len() == FILES.len() => Ok(Source::None),
        Err(Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Source::None),
        Err(error) => Err(error),
    }
}

/// Where downloads are kept: `$XDG_CACHE_HOME/wgrad/cifar10` or `~/.cache/wgrad/cifar10`, on macOS
/// `~/Library/Caches/wgrad/cifar10`, on Windows `%LOCALAPPDATA%\wgrad\cifar10`. `None` where the
/// environment names no home.
pub fn cache_folder() -> Option<PathBuf> {
    cache_folder_from(std::env::consts::OS, |name| std::env::var_os(name))
}

fn cache_folder_from(os: &str, variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // A relative path would depend on where the program was started; the XDG rules say to ignore it.
    let folder = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = match os {
        "windows" => folder("LOCALAPPDATA"),
        "macos" => folder("HOME").map(|home| home.join("Library/Caches")),
        _ => folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache"))),
    };
    base.map(|base| base.join("wgrad").join("cifar10"))
}

/// The folder that holds the data files: `folder` itself, else its `cifar-10-batches-bin`.
///
/// # Errors
/// [`Error::Read`] where `folder` is not a folder that can be read; [`Error::MissingFiles`], about the
/// one of the two with fewer files missing.
pub fn find(folder: &Path) -> Result<PathBuf> {
    fs::read_dir(folder).map_err(Error::read(folder))?;
    let inner = folder.join(SUBFOLDER);
    let (missing, inner_missing) = (missing_files(folder)?, missing_files(&inner)?);
    if missing.is_empty() {
        return Ok(folder.to_path_buf());
    }
    if inner_missing.is_empty() {
        return Ok(inner);
    }
    let (folder, files) = if inner_missing.len() < missing.len() {
        (inner, inner_missing)
    } else {
        (folder.to_path_buf(), missing)
    };
    Err(Error::MissingFiles { folder, files, expected: EXPECTED })
}

fn missing_files(folder: &Path) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for name in FILES {
        if file(folder, name)?.is_none() {
            missing.push(name.to_string());
        }
    }
    Ok(missing)
}

/// Where a file lies: in `folder`, or in a folder of the file's own name there.
fn file(folder: &Path, name: &str) -> Result<Option<PathBuf>> {
    files::find(folder, &[name.to_owned()])
}

/// Loads the data set from `folder`, which holds the `.bin` files itself or in `cifar-10-batches-bin`.
/// The classes are named by `batches.meta.txt` if it is there and gives ten names, else by
/// [`CLASSES`].
///
/// # Errors
/// As [`find`]; [`Error::Format`] for a file that is empty or not a whole number of records;
/// [`Error::Label`] for a label over 9; [`Error::Read`] where reading fails.
pub fn load(folder: &Path) -> Result<Split> {
    let folder = find(folder)?;
    let classes = class_names(&folder, NAMES_FILE, &CLASSES);
    let mut paths = Vec::new();
    for name in FILES {
        paths.push(file(&folder, name)?.unwrap_or_else(|| folder.join(name)));
    }
    let (train, test) = paths.split_at(5);
    Ok(Split { train: read_files(train, classes.clone(), LAYOUT)?, test: read_files(test, classes, LAYOUT)? })
}

pub(crate) fn read_files(paths: &[PathBuf], classes: Vec<String>, layout: Layout) -> Result<Images> {
    // All sizes are checked first, so that memory is taken once and a bad file is told at once.
    let mut total: usize = 0;
    for path in paths {
        total = total.saturating_add(count_records(path, layout)?);
    }
    let Some((mut labels, mut pixels)) = reserve(total) else {
        let found = format!("{total} records with those beside it");
        return Err(Error::format(&paths[0], found, "a set that fits in memory"));
    };
    for path in paths {
        read_records(path, layout, &mut labels, &mut pixels)?;
    }
    Images::new(SHAPE, classes, pixels, labels)
}

/// Room for the labels and the pixels of `records` records, if there is as much memory.
fn reserve(records: usize) -> Option<(Vec<u8>, Vec<u8>)> {
    let (mut labels, mut pixels) = (Vec::new(), Vec::new());
    labels.try_reserve_exact(records).ok()?;
    pixels.try_reserve_exact(records.checked_mul(IMAGE)?).ok()?;
    Some((labels, pixels))
}

fn count_records(path: &Path, layout: Layout) -> Result<usize> {
    let record = layout.record() as u64;
    let expected = format!("a whole number of {record}-byte records, at least one");
    let metadata = fs::metadata(path).map_err(Error::read(path))?;
    if !metadata.is_file() {
        return Err(Error::format(path, "something other than a file", expected));
    }
    let length = metadata.len();
    let (records, rest) = (length / record, length % record);
    if length == 0 {
        return Err(Error::format(path, "an empty file", expected));
    }
    if rest != 0 {
        let found = format!("{length} bytes, which is {records} records and {rest} bytes");
        return Err(Error::format(path, found, expected));
    }
    usize::try_from(records)
        .map_err(|_| Error::format(path, format!("{length} bytes"), "a file that fits in memory"))
}

fn read_records(path: &Path, layout: Layout, labels: &mut Vec<u8>, pixels: &mut Vec<u8>) -> Result<()> {
    let records = count_records(path, layout)?;
    let file = File::open(path).map_err(Error::read(path))?;
    let mut reader = BufReader::with_capacity(64 * layout.record(), file);
    let mut block = vec![0; layout.record()];
    for record in 0..records {
        reader.read_exact(&mut block).map_err(Error::read(path))?;
        let (found, image) = block.split_at(layout.0.len());
        for (i, (&label, &max)) in found.iter().zip(layout.0).enumerate() {
            if label > max {
                let offset = (record * layout.record() + i) as u64;
                return Err(Error::Label { path: path.into(), record, offset, label, max });
            }
        }
        labels.extend(found.last());
        pixels.extend_from_slice(image);
    }
    Ok(())
}

/// The names in a file, one a line, or the standard ones where it is missing or gives something else
/// than as many short, different names. They are only shown, so nothing is lost by falling back.
pub(crate) fn class_names(folder: &Path, list: &str, standard: &[&str]) -> Vec<String> {
    let mut text = String::new();
    let path = file(folder, list).ok().flatten().unwrap_or_else(|| folder.join(list));
    let read = File::open(path).and_then(|file| file.take(4096).read_to_string(&mut text));
    let names: Vec<&str> = text.lines().map(str::trim).filter(|name| !name.is_empty()).collect();
    let sane = |name: &str| name.len() <= 64 && !name.contains(char::is_control);
    let different = (1..names.len()).all(|i| !names[..i].contains(&names[i]));
    let good =
        read.is_ok() && names.len() == standard.len() && different && names.iter().all(|name| sane(name));
    let chosen = if good { &names[..] } else { standard };
    chosen.iter().map(|name| name.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_not_there_is_no_panic() {
        let (labels, pixels) = reserve(2).unwrap();
        assert!(labels.capacity() >= 2 && pixels.capacity() >= 2 * IMAGE);
        assert_eq!(reserve(usize::MAX / IMAGE), None);
        assert_eq!(reserve(usize::MAX), None);
    }

    #[test]
    fn cache_folder_follows_each_platform() {
        // Paths must be absolute on the platform that runs the test.
        let root = std::env::temp_dir();
        let with = |os: &str, set: &[(&str, PathBuf)]| {
            let variable =
                |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone().into_os_string());
            cache_folder_from(os, variable)
        };
        let (xdg, home) = (("XDG_CACHE_HOME", root.join("x")), ("HOME", root.join("h")));
        let tail = |base: &str| Some(root.join(base).join("wgrad").join("cifar10"));
        assert_eq!(with("linux", &[xdg.clone(), home.clone()]), tail("x"));
        assert_eq!(with("linux", std::slice::from_ref(&home)), tail("h/.cache"));
        assert_eq!(with("linux", &[("XDG_CACHE_HOME", "relative".into()), home.clone()]), tail("h/.cache"));
        assert_eq!(with("linux", &[("HOME", "".into())]), None);
        assert_eq!(with("macos", &[xdg, home.clone()]), tail("h/Library/Caches"));
        assert_eq!(with("windows", &[("LOCALAPPDATA", root.join("l")), home]), tail("l"));
    }
}
