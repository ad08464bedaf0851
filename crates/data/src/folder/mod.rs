//! Folders of PNG and JPEG files, one folder a class (cargo feature `image-files`).
//!
//! Two layouts are taken: `root/CLASS/…/*.png`, and `root/train/CLASS/…` with, if they are there, `root/val/CLASS/…` (or `valid`, or
//! `validation`) and `root/test/CLASS/…`. Labels number the classes of the training part in the order of their names. A class that
//! is unknown in another part is an error, as is a folder without images; that another part lacks a class is none. Files and
//! folders whose names begin with a point, and `__MACOSX`, are left alone.
//!
//! How a picture becomes bytes, in training and prediction alike ([`load_image`]):
//! 1. It is decoded by what it is, whatever its name ends with. A file that is cut short or damaged is an error.
//! 2. 16 bits become 8 by their full range, palettes colours, CMYK RGB with Adobe's inversion undone. Colour profiles are left alone.
//! 3. It is turned as its EXIF orientation says.
//! 4. Transparent pixels are laid on [`Prepare::background`].
//! 5. Colours become luma, `(77 R + 150 G + 29 B + 128) / 256`, where one channel is asked for; grey goes to all of three.
//! 6. Its shorter side, as a part of what is asked for, is brought to size by the antialiased bilinear filter, and the centre is
//!    kept: torchvision's `Resize` and `CenterCrop`.

mod decode;
mod files;
mod resize;
mod scan;

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

pub use files::Files;
pub use scan::{Item, Listing, scan};

use crate::{Error, Images, Result};

/// Images are decoded so many at a time; a bad one stops the loading behind them.
const BLOCK: usize = 256;

/// The shape that pictures are brought to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepare {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 3 for RGB, 1 for grey.
    pub channels: usize,
    /// What transparent pixels are laid on, as RGB.
    pub background: [u8; 3],
}

impl Prepare {
    /// RGB of this size, on white.
    pub fn new(height: usize, width: usize) -> Self {
        Self { height, width, channels: 3, background: [255; 3] }
    }

    /// `[channels, height, width]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    pub(crate) fn check(&self) -> Result<usize> {
        let [c, h, w] = self.shape();
        if ![1, 3].contains(&c) || !(1..=8192).contains(&h) || !(1..=8192).contains(&w) {
            let message = format!("{c} channels of {h} × {w}; give 1 or 3 channels of 1 to 8192 pixels");
            return Err(Error::Images(message));
        }
        Ok(c * h * w)
    }
}

/// What is done about a file that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bad {
    /// It is an error.
    #[default]
    Fail,
    /// It is left out, and listed in [`Folder::skipped`].
    Skip,
}

/// A file that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// Why it cannot be read.
    pub reason: String,
}

/// What a folder holds.
#[derive(Clone, Debug)]
pub struct Folder {
    /// The training part, or everything where the folder has no parts.
    pub train: Images,
    /// The validation part, if there is one.
    pub validation: Option<Images>,
    /// The test part, if there is one.
    pub test: Option<Images>,
    /// Files that cannot be read, left out by [`Bad::Skip`].
    pub skipped: Vec<Skipped>,
    /// Files whose names end neither with png, jpg nor jpeg. They were not read.
    pub others: Vec<PathBuf>,
}

/// Loads the images of `root`, decoded on all cores. Their order, and that of labels, is that of names, the same on every machine.
///
/// # Errors
/// As [`scan`]; as [`load_image`] for the first file that cannot be read, by [`Bad::Fail`], or where a part has no other;
/// [`Error::Images`] for a shape that is no image's, and images that do not fit in memory.
pub fn load(root: &Path, prepare: &Prepare, bad: Bad) -> Result<Folder> {
    let listing = scan(root, None)?;
    let mut skipped = Vec::new();
    let mut part = |items: &[Item]| -> Result<Option<Images>> {
        if items.is_empty() {
            return Ok(None);
        }
        let (images, bad) = read(items, &listing.classes, prepare, bad)?;
        skipped.extend(bad);
        Ok(Some(images))
    };
    let train = part(&listing.train)?;
    let (validation, test) = (part(&listing.validation)?, part(&listing.test)?);
    let Some(train) = train else {
        return Err(Error::format(root, "no images", scan::EXPECTED));
    };
    Ok(Folder { train, validation, test, skipped, others: listing.others })
}

/// Loads the images of a list, decoded on all cores, and says which were left out.
///
/// # Errors
/// As [`load`].
pub fn read(
    items: &[Item],
    classes: &[String],
    prepare: &Prepare,
    bad: Bad,
) -> Result<(Images, Vec<Skipped>)> {
    let size = prepare.check()?;
    let (mut pixels, mut labels, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    let total = size.checked_mul(items.len());
    if total.is_none_or(|total| pixels.try_reserve_exact(total).is_err()) {
        let message = format!("{} images of {:?} do not fit in memory", items.len(), prepare.shape());
        return Err(Error::Images(message));
    }
    for block in items.chunks(BLOCK) {
        let decoded: Vec<Result<Vec<u8>>> =
            block.par_iter().map(|item| load_image(&item.path, prepare)).collect();
        for (item, image) in block.iter().zip(decoded) {
            match image {
                Ok(image) => {
                    pixels.extend(image);
                    labels.push(item.label);
                }
                Err(error) if bad == Bad::Fail => return Err(error),
                Err(error) => skipped.push(Skipped { path: item.path.clone(), reason: error.to_string() }),
            }
        }
    }
    if let (true, Some(first)) = (labels.is_empty(), skipped.first()) {
        let message = format!("none of {} files can be read: {}", items.len(), first.reason);
        return Err(Error::Images(message));
    }
    Ok((Images::new(prepare.shape(), classes.to_vec(), pixels, labels)?, skipped))
}

/// The bytes of a picture, `[channels, height, width]`, prepared as in training.
///
/// # Errors
/// [`Error::Read`] where the file cannot be read; [`Error::Format`] where it is neither PNG nor JPEG, is cut short or damaged,
/// or claims more pixels than a file of its size can hold, or more than 67 million; [`Error::Images`] for a shape that is no
/// image's.
pub fn load_image(path: &Path, prepare: &Prepare) -> Result<Vec<u8>> {
    let length = fs::metadata(path).map_err(Error::read(path))?.len();
    if length > decode::LONGEST {
        let expected = format!("a picture of at most {} bytes", decode::LONGEST);
        return Err(Error::format(path, format!("{length} bytes"), expected));
    }
    decode_image(&fs::read(path).map_err(Error::read(path))?, path, prepare)
}

/// As [`load_image`], from a file's bytes; errors name `path`.
///
/// # Errors
/// As [`load_image`].
pub fn decode_image(bytes: &[u8], path: &Path, prepare: &Prepare) -> Result<Vec<u8>> {
    prepare.check()?;
    let rgb = decode::rgb(bytes, path, prepare.background)?;
    let (height, width) = (rgb.height() as usize, rgb.width() as usize);
    let mut pixels = rgb.into_raw();
    if prepare.channels == 1 {
        let (triples, _) = pixels.as_chunks::<3>();
        pixels = triples.iter().map(|&[r, g, b]| crate::images::luma(r, g, b)).collect();
    }
    Ok(resize::resize_and_crop(&pixels, [height, width, prepare.channels], [prepare.height, prepare.width]))
}
