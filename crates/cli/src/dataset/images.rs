//! Images: folders, CIFAR and idx files.

use std::path::Path;

use wgrad::data::folder::{self, Bad, Files, Item, Prepare, Skipped};
use wgrad::data::{Kind, cifar10, cifar100, mnist};

use super::{Dataset, Pictures, parts};
use crate::config::{Bytes, Config};
use crate::output::{printable, scaled};
use crate::{Error, Result};

/// Rows and columns that images of a folder are brought to where the configuration doesn't say.
pub(crate) const USUAL: [usize; 2] = [64, 64];
/// Bytes that images may take on the device where the configuration doesn't say, and the machine has enough.
const USUAL_MEMORY: u64 = 2_000_000_000;

pub(super) fn load(path: &Path, kind: Kind, config: &Config, memory: u64) -> Result<Dataset> {
    let (name, split) = match kind {
        Kind::Cifar10 => ("CIFAR-10", cifar10::load(path)?),
        Kind::Cifar100 => ("CIFAR-100", cifar100::load(path)?),
        Kind::Idx => ("idx files", mnist::load(path)?),
        Kind::Images | Kind::Table | Kind::Safetensors => return classes(path, config, memory),
    };
    super::no_folds(config)?;
    let (train, valid) = (split.train, split.test);
    if let (Some(size), [_, h, w]) = (config.size, train.shape())
        && size != [h, w]
    {
        return Err(Error::usage(format!("size = {size:?}: the images of {} are {h} × {w}", path.display())));
    }
    let (train, valid) = (train.into(), valid.into());
    let about = about(path, name, &train, &valid, "");
    dataset(train, valid, about, memory)
}

/// The data set, streamed where it would take more of the device's memory than it may.
pub(super) fn dataset(train: Pictures, valid: Pictures, mut about: String, memory: u64) -> Result<Dataset> {
    let streamed = streamed(&train, train.len() + valid.len(), memory);
    if let Some(why) = &streamed {
        about.push_str(&format!("; {why}"));
    }
    Ok(Dataset::Images { train, valid, streamed: streamed.is_some(), about })
}

/// That `count` images such as these are streamed, and why, where they would take more of the device's memory than they may.
pub(crate) fn streamed(images: &Pictures, count: usize, memory: u64) -> Option<String> {
    let from = match images {
        Pictures::Host(_) => "the host's memory",
        Pictures::Files(_) => "their files",
    };
    let bytes = bytes(images.shape(), count);
    let [all, most] = [bytes, memory].map(|bytes| scaled(bytes as f64));
    (bytes > memory).then(|| format!("streamed from {from}, since {all}B are more than memory = {most}B"))
}

/// The images of files: in the host's memory, or left in their files if `count` of them would take more of the device's memory than
/// they may. Files that cannot be read are listed, if they are no error.
pub(crate) fn read(
    items: &[Item],
    classes: &[String],
    prepare: &Prepare,
    bad: Bad,
    count: usize,
    memory: u64,
) -> Result<(Pictures, Vec<Skipped>)> {
    Ok(if bytes(prepare.shape(), count) > memory {
        let (files, skipped) = Files::read(items, classes, prepare, bad)?;
        (files.into(), skipped)
    } else {
        let (images, skipped) = folder::read(items, classes, prepare, bad)?;
        (images.into(), skipped)
    })
}

/// Bytes that so many images take on the device.
fn bytes(shape: [usize; 3], images: usize) -> u64 {
    let size = shape.iter().fold(1_u64, |size, &axis| size.saturating_mul(axis as u64));
    size.next_multiple_of(4).saturating_mul(images as u64)
}

/// Bytes that images may take on the device of each of so many ranks of this machine.
pub(crate) fn memory(most: Option<Bytes>, ranks: usize) -> u64 {
    most.map_or_else(|| share(free_memory(), ranks), |bytes| bytes.0)
}

/// What a rank takes of the machine's free memory, a quarter in all, where the configuration doesn't say.
fn share(free: Option<u64>, ranks: usize) -> u64 {
    // No adapter tells its memory. Software adapters, and GPUs that are part of a processor, have the machine's.
    USUAL_MEMORY.min(free.map_or(u64::MAX, |free| free / 4 / ranks.max(1) as u64))
}

/// The machine's free memory, where the system tells it.
fn free_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn about(path: &Path, kind: &str, train: &Pictures, valid: &Pictures, more: &str) -> String {
    let [c, h, w] = train.shape();
    let classes = train.classes().len();
    format!(
        "{}: {kind}, {} images to train on and {} to validate, {c}×{h}×{w}, {classes} classes{more}",
        path.display(),
        train.len(),
        valid.len(),
    )
}

/// Names pictures that cannot be read in the log of errors, all of them: they are to be mended.
pub(crate) fn name(skipped: &[Skipped]) {
    for Skipped { path, reason } in skipped {
        eprintln!("{}", printable(&format!("wgrad: left out {}: {reason}", path.display())));
    }
}

/// A folder with a folder for each class, divided here unless it is already.
fn classes(path: &Path, config: &Config, memory: u64) -> Result<Dataset> {
    let [height, width] = config.size.unwrap_or(USUAL);
    let channels = config.channels.unwrap_or(3);
    let prepare = Prepare { channels, ..Prepare::new(height, width) };
    let bad = if config.skip_bad == Some(true) { Bad::Skip } else { Bad::Fail };
    let listing = folder::scan(path, None)?;
    // A validation part of its own comes before a test part, and both before a share of the training part.
    let own = [&listing.validation, &listing.test].into_iter().find(|items| !items.is_empty());
    if own.is_some() {
        super::no_folds(config)?;
    }
    let count = listing.train.len() + own.map_or(0, Vec::len);
    let mut skipped = Vec::new();
    let mut read = |items: &[Item]| -> Result<Pictures> {
        let (pictures, more) = read(items, &listing.classes, &prepare, bad, count, memory)?;
        skipped.extend(more);
        Ok(pictures)
    };
    let train = read(&listing.train)?;
    let valid = own.map(|items| read(items)).transpose()?;
    let mut others = match listing.others.len() {
        0 => String::new(),
        n => format!("; {n} files of other kinds were left alone"),
    };
    if !skipped.is_empty() {
        name(&skipped);
        others.push_str(&format!("; {} pictures cannot be read and were left out", skipped.len()));
    }
    if train.classes().len() < 2 {
        return Err(Error::file(
            path,
            "one class alone: a classifier needs a folder for each of at least two",
        ));
    }
    let (train, valid) = match valid {
        Some(valid) => (train, valid),
        None => {
            let rows = parts(path, &train.labels(), config)?;
            (train.select(&rows.train)?, train.select(&rows.test)?)
        }
    };
    let about = about(path, "a folder for each class", &train, &valid, &others);
    dataset(train, valid, about, memory)
}

#[cfg(test)]
mod tests {
    use super::{USUAL_MEMORY, share};

    #[test]
    fn ranks_of_a_machine_share_a_quarter_of_its_free_memory() {
        let free = 6_000_000_000;
        assert_eq!([1, 2, 3, 8].map(|ranks| share(Some(free), ranks) * ranks as u64), [free / 4; 4]);
        // More than that is never taken, nor where the system doesn't tell.
        assert_eq!(share(Some(1 << 40), 1), USUAL_MEMORY);
        assert_eq!(share(None, 4), USUAL_MEMORY);
    }
}
