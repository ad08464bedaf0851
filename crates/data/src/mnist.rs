//! MNIST as idx files, and sets in the same layout such as Fashion-MNIST.
//!
//! An idx file has a big-endian header, 4 bytes of magic number and 4 bytes for each axis, and then
//! the bytes. A folder holds four of them; each may be gzip-compressed (`.gz`), and either spelling of
//! the names found in the wild is taken (`train-images-idx3-ubyte`, `train-images.idx3-ubyte`). A file may
//! lie in a folder of its own that has such a name, and all of them in `raw` or `MNIST/raw`, as torchvision
//! keeps them.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::{Error, Images, Result, Split, files};

/// Rows and columns of an image.
pub const SIDE: usize = 28;

const EXPECTED: &str = "MNIST's four idx files, plain or .gz, in the folder itself, in raw or in MNIST/raw";
const MAX_LABEL: u8 = 9;

/// Files of a set.
pub(crate) const FILES: usize = 4;

/// Names of Fashion-MNIST's classes, in the order of the labels.
pub const FASHION_CLASSES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// The labels that Fashion-MNIST's training part begins with; MNIST's begins with 5, 0, 4.
const FASHION_LABELS: [u8; 10] = [9, 0, 0, 3, 0, 2, 7, 2, 5, 5];

/// Deflate cannot pack more than this many bytes into one, so a longer claim is a lie.
const MAX_DEFLATE_RATIO: u64 = 1032;

/// Loads the data set from `folder`: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
/// `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`. A plain file comes before its `.gz`, and a file
/// before one in a folder of its name. Where the folder itself lacks some, its `raw` or `MNIST/raw` may hold
/// them all. Classes are named "0" to "9", or by [`FASHION_CLASSES`] where the folder or the one that it lies in has "fashion" in its name
/// or the training labels begin as Fashion-MNIST's do.
///
/// # Errors
/// [`Error::MissingFiles`] where files are missing; [`Error::Format`] where a header's magic number or
/// axes are wrong, the length does not match the header, or images and labels differ in number;
/// [`Error::Label`] for a label over 9; [`Error::Read`] where reading or unpacking fails.
pub fn load(folder: &Path) -> Result<Split> {
    let [train_images, train_labels, test_images, test_labels] = locate(folder)?;
    let mut split =
        Split { train: pair(&train_images, &train_labels)?, test: pair(&test_images, &test_labels)? };
    let named =
        folder.iter().rev().take(2).any(|part| part.to_string_lossy().to_lowercase().contains("fashion"));
    if named || split.train.labels.starts_with(&FASHION_LABELS) {
        split.train.classes = FASHION_CLASSES.map(str::to_owned).to_vec();
        split.test.classes = split.train.classes.clone();
    }
    Ok(split)
}

/// The four files: training images and labels, test images and labels.
pub(crate) fn locate(folder: &Path) -> Result<[PathBuf; FILES]> {
    fs::read_dir(folder).map_err(Error::read(folder))?;
    let mut fewest: Option<(PathBuf, Vec<String>)> = None;
    for folder in [folder.to_path_buf(), folder.join("raw"), folder.join("MNIST").join("raw")] {
        let (paths, missing) = find(&folder)?;
        if let Ok(paths) = paths.try_into() {
            return Ok(paths);
        }
        if fewest.as_ref().is_none_or(|(_, fewest)| missing.len() < fewest.len()) {
            fewest = Some((folder, missing));
        }
    }
    let (folder, files) = fewest.unwrap_or_default();
    Err(Error::MissingFiles { folder, files, expected: EXPECTED })
}

/// Where the files lie that `folder` holds, and the names of those that it lacks.
fn find(folder: &Path) -> Result<(Vec<PathBuf>, Vec<String>)> {
    let stems = ["train-images", "train-labels", "t10k-images", "t10k-labels"];
    let (mut paths, mut missing) = (Vec::new(), Vec::new());
    for (stem, kind) in stems.into_iter().zip(["idx3", "idx1"].into_iter().cycle()) {
        let spelt = |joint: &str, ending: &str| format!("{stem}{joint}{kind}-ubyte{ending}");
        let names = [spelt("-", ""), spelt(".", ""), spelt("-", ".gz"), spelt(".", ".gz")];
        match files::find(folder, &names)? {
            Some(path) => paths.push(path),
            None => missing.push(spelt("-", "")),
        }
    }
    Ok((paths, missing))
}

fn pair(images: &Path, labels: &Path) -> Result<Images> {
    let (count, pixels) = read_idx(images, 3)?;
    let (label_count, label_bytes) = read_idx(labels, 1)?;
    if label_count != count {
        let expected = format!("{count}, as many as there are images in {}", images.display());
        return Err(Error::format(labels, format!("{label_count} labels"), expected));
    }
    if let Some(record) = label_bytes.iter().position(|&label| label > MAX_LABEL) {
        return Err(Error::Label {
            path: labels.into(),
            record,
            offset: record as u64 + 8,
            label: label_bytes[record],
            max: MAX_LABEL,
        });
    }
    let classes = (0..=MAX_LABEL).map(|digit| digit.to_string()).collect();
    Images::new([1, SIDE, SIDE], classes, pixels, label_bytes)
}

/// Reads an idx file of bytes with `axes` axes: 3 for images `[n, 28, 28]`, 1 for labels `[n]`.
/// Returns n and the bytes after the header.
fn read_idx(path: &Path, axes: u8) -> Result<(usize, Vec<u8>)> {
    let metadata = fs::metadata(path).map_err(Error::read(path))?;
    if !metadata.is_file() {
        let expected = "an idx file, or a folder that holds it under such a name";
        return Err(Error::format(path, "something other than a file", expected));
    }
    let file = BufReader::new(File::open(path).map_err(Error::read(path))?);
    if path.extension().is_some_and(|ending| ending == "gz") {
        let longest = metadata.len().saturating_mul(MAX_DEFLATE_RATIO);
        read_body(MultiGzDecoder::new(file), path, axes, 0..=longest)
    } else {
        read_body(file, path, axes, metadata.len()..=metadata.len())
    }
}

/// `lengths` are those that the file can have once unpacked, as far as its size tells.
fn read_body(
    mut reader: impl Read,
    path: &Path,
    axes: u8,
    lengths: RangeInclusive<u64>,
) -> Result<(usize, Vec<u8>)> {
    let mut header = Vec::new();
    let header_size = 4 + 4 * u64::from(axes);
    reader.by_ref().take(header_size).read_to_end(&mut header).map_err(Error::read(path))?;
    if header.len() as u64 != header_size {
        let found = format!("{} bytes", header.len());
        return Err(Error::format(path, found, format!("an idx header of {header_size} bytes")));
    }
    let (words, _) = header.as_chunks::<4>();
    let words: Vec<u32> = words.iter().map(|&word| u32::from_be_bytes(word)).collect();
    // The magic number is two zeros, the element type (8: unsigned byte) and the number of axes.
    let magic = 0x0800 | u32::from(axes);
    if words[0] != magic {
        let found = format!("magic number {:#010x}", words[0]);
        return Err(Error::format(path, found, format!("{magic:#010x}")));
    }
    let shape = &words[1..];
    let good = shape[0] > 0 && shape[1..].iter().all(|&axis| axis as usize == SIDE);
    if !good {
        let wanted = if axes == 3 { "[n, 28, 28] with n at least 1" } else { "[n] with n at least 1" };
        return Err(Error::format(path, format!("axes {shape:?}"), wanted));
    }
    let body = shape.iter().try_fold(1_u64, |product, &axis| product.checked_mul(axis.into()));
    let total = body.and_then(|size| size.checked_add(header_size));
    let (Some(size), Some(total)) = (body, total) else {
        return Err(Error::format(path, format!("axes {shape:?}"), "a size below 2^64 bytes"));
    };
    let expected = format!("{total} bytes, as axes {shape:?} ask for");
    if !lengths.contains(&total) {
        let longest = lengths.end();
        let found = if lengths.start() == longest { "" } else { "at most " };
        return Err(Error::format(path, format!("{found}{longest} bytes"), expected));
    }
    // The buffer grows with what is really there. One byte more than expected is asked for, so that a
    // longer file is noticed and a gzip stream is read to its checksum.
    let mut bytes = Vec::new();
    reader.take(size.saturating_add(1)).read_to_end(&mut bytes).map_err(Error::read(path))?;
    if bytes.len() as u64 != size {
        let order = if bytes.len() as u64 > size { "more" } else { "fewer" };
        return Err(Error::format(path, format!("{order} bytes"), expected));
    }
    Ok((shape[0] as usize, bytes))
}
