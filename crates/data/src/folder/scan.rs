//! Which files a folder of images holds, and of which classes they are.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::some_of;
use crate::{Error, Result};

pub(super) const EXPECTED: &str = "folders named by classes that hold png, jpg or jpeg files, in the folder itself or in train, val and test";

/// Folders of a class are searched so deep, so that a link to itself ends.
const DEEPEST: usize = 16;

/// Names of the parts' folders. In another case, a folder is one if it holds folders: it may be that of a class.
const TRAIN: &[&str] = &["train"];
const VALIDATION: &[&str] = &["val", "valid", "validation"];
const TEST: &[&str] = &["test"];

/// An image's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Where it is.
    pub path: PathBuf,
    /// The number of its class.
    pub label: u8,
}

/// The files of a folder, each part sorted by class and path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The classes' names, in the order of the labels.
    pub classes: Vec<String>,
    /// The training part, or everything where the folder has no parts.
    pub train: Vec<Item>,
    /// The validation part; empty where there is none.
    pub validation: Vec<Item>,
    /// The test part; empty where there is none.
    pub test: Vec<Item>,
    /// Files whose names end neither with png, jpg nor jpeg, and folders of no part.
    pub others: Vec<PathBuf>,
}

/// Finds the images of `root`; nothing is decoded. `classes` are a model's, whose labels are to be used; where it is
/// `None`, the folders of the training part name them, in the order of their names.
///
/// # Errors
/// [`Error::Read`] where a folder cannot be read; [`Error::Format`] for a layout that is none of the two, a class without
/// images and a class that is not known; [`Error::Images`] for more than 256 classes.
pub fn scan(root: &Path, classes: Option<&[String]>) -> Result<Listing> {
    let (folders, files) = entries(root)?;
    let mut listing = Listing { others: files, ..Listing::default() };
    let part = |names: &[&str]| -> Result<Option<PathBuf>> {
        let holds_folders = |path: &Path| entries(path).is_ok_and(|(folders, _)| !folders.is_empty());
        let is_part = |path: &&PathBuf| {
            names.contains(&name(path).as_str())
                || names.contains(&name(path).to_lowercase().as_str()) && holds_folders(path)
        };
        let found: Vec<&PathBuf> = folders.iter().filter(is_part).collect();
        match found[..] {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            _ => Err(Error::format(root, format!("several of {}", names.join(", ")), "one of them")),
        }
    };
    let (train, validation, test) = (part(TRAIN)?, part(VALIDATION)?, part(TEST)?);
    let Some(train) = train else {
        listing.classes = known(root, &folders, classes)?;
        listing.train = class_items(&folders, &listing.classes, &mut listing.others)?;
        return Ok(listing);
    };
    let parts = [Some(&train), validation.as_ref(), test.as_ref()];
    listing.others.extend(folders.iter().filter(|path| !parts.contains(&Some(path))).cloned());
    let (of_train, files) = entries(&train)?;
    listing.others.extend(files);
    listing.classes = known(&train, &of_train, classes)?;
    listing.train = class_items(&of_train, &listing.classes, &mut listing.others)?;
    for (path, to) in [(validation, &mut listing.validation), (test, &mut listing.test)] {
        let Some(path) = path else { continue };
        let (folders, files) = entries(&path)?;
        if folders.is_empty() {
            return Err(Error::format(&path, "no folders of classes", EXPECTED));
        }
        listing.others.extend(files);
        *to = class_items(&folders, &listing.classes, &mut listing.others)?;
    }
    Ok(listing)
}

/// The classes' names: those given, or those of the folders.
fn known(root: &Path, folders: &[PathBuf], given: Option<&[String]>) -> Result<Vec<String>> {
    if folders.is_empty() {
        return Err(Error::format(root, "no folders", EXPECTED));
    }
    let classes: Vec<String> = match given {
        Some(given) => given.to_vec(),
        None => folders.iter().map(|path| name(path)).collect(),
    };
    if classes.len() > 256 {
        let message = format!(
            "{} holds {} classes; labels are bytes, so there are at most 256",
            root.display(),
            classes.len()
        );
        return Err(Error::Images(message));
    }
    Ok(classes)
}

fn class_items(folders: &[PathBuf], classes: &[String], others: &mut Vec<PathBuf>) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for folder in folders {
        let Some(label) = classes.iter().position(|class| *class == name(folder)) else {
            let expected = format!("one of {}", some_of(classes));
            return Err(Error::format(folder, "a class that is not known", expected));
        };
        let before = items.len();
        // There are at most 256 classes.
        collect(folder, label as u8, DEEPEST, &mut items, others)?;
        if items.len() == before {
            return Err(Error::format(folder, "no images", "png, jpg or jpeg files of this class"));
        }
    }
    Ok(items)
}

fn collect(
    folder: &Path,
    label: u8,
    depth: usize,
    items: &mut Vec<Item>,
    others: &mut Vec<PathBuf>,
) -> Result<()> {
    let (folders, files) = entries(folder)?;
    for path in files {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("png" | "jpg" | "jpeg") => items.push(Item { path, label }),
            _ => others.push(path),
        }
    }
    if depth == 0 {
        others.extend(folders);
        return Ok(());
    }
    folders.iter().try_for_each(|inner| collect(inner, label, depth - 1, items, others))
}

/// Folders and files of a folder, each sorted by name, without hidden ones.
fn entries(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(Error::read(folder))? {
        let path = entry.map_err(Error::read(folder))?.path();
        let name = name(&path);
        if name.starts_with('.') || name == "__MACOSX" {
            continue;
        }
        // Links are followed.
        let kind = fs::metadata(&path).map_err(Error::read(&path))?;
        if kind.is_dir() { folders.push(path) } else { files.push(path) }
    }
    folders.sort();
    files.sort();
    Ok((folders, files))
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
