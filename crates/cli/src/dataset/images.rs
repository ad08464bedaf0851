//! Images: folders, CIFAR and idx files.

use std::path::Path;

use wgrad::data::folder::{self, Bad, Prepare};
use wgrad::data::split::stratified_split;
use wgrad::data::{Images, Kind, cifar10, cifar100, mnist};

use super::{Dataset, VALIDATION};
use crate::config::Config;
use crate::{Error, Result};

/// Rows and columns that images of a folder are brought to where the configuration doesn't say.
const SIDE: usize = 64;

pub(super) fn load(path: &Path, kind: Kind, config: &Config) -> Result<Dataset> {
    let (name, split) = match kind {
        Kind::Cifar10 => ("CIFAR-10", cifar10::load(path)?),
        Kind::Cifar100 => ("CIFAR-100", cifar100::load(path)?),
        Kind::Idx => ("idx files", mnist::load(path)?),
        Kind::Images | Kind::Table | Kind::Safetensors => return classes(path, config),
    };
    let (train, valid) = (split.train, split.test);
    if let (Some(size), [_, h, w]) = (config.size, train.shape())
        && size != [h, w]
    {
        return Err(Error::usage(format!("size = {size:?}: the images of {} are {h} × {w}", path.display())));
    }
    let about = about(path, name, &train, &valid, "");
    Ok(Dataset::Images { train, valid, about })
}

fn about(path: &Path, kind: &str, train: &Images, valid: &Images, more: &str) -> String {
    let [c, h, w] = train.shape();
    let classes = train.classes.len();
    format!(
        "{}: {kind}, {} images to train on and {} to validate, {c}×{h}×{w}, {classes} classes{more}",
        path.display(),
        train.len(),
        valid.len(),
    )
}

/// A folder with a folder for each class, divided here unless it is already.
fn classes(path: &Path, config: &Config) -> Result<Dataset> {
    let [height, width] = config.size.unwrap_or([SIDE, SIDE]);
    let channels = config.channels.unwrap_or(3);
    let prepare = Prepare { channels, ..Prepare::new(height, width) };
    let bad = if config.skip_bad == Some(true) { Bad::Skip } else { Bad::Fail };
    let found = folder::load(path, &prepare, bad)?;
    let mut others = match found.others.len() {
        0 => String::new(),
        n => format!("; {n} files of other kinds were left alone"),
    };
    if !found.skipped.is_empty() {
        // In the log of errors, all of them: they are to be mended.
        found
            .skipped
            .iter()
            .for_each(|file| eprintln!("wgrad: left out {}: {}", file.path.display(), file.reason));
        others.push_str(&format!("; {} pictures cannot be read and were left out", found.skipped.len()));
    }
    if found.train.classes.len() < 2 {
        return Err(Error::file(
            path,
            "one class alone: a classifier needs a folder for each of at least two",
        ));
    }
    let (train, valid) = match found.validation.or(found.test) {
        Some(valid) => (found.train, valid),
        None => {
            let (share, seed) = (config.validation.unwrap_or(VALIDATION), config.seed.unwrap_or(0));
            let rows = stratified_split(&found.train.labels, share, seed)?;
            (found.train.select(&rows.train)?, found.train.select(&rows.test)?)
        }
    };
    let about = about(path, "a folder for each class", &train, &valid, &others);
    Ok(Dataset::Images { train, valid, about })
}
