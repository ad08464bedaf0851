//! CIFAR-100 in its binary version, `cifar-100-binary.tar.gz` unpacked, by its fine labels.
//!
//! A record is 3,074 bytes: a coarse label from 0 to 19, a fine label from 0 to 99, then the red, green and blue plane of a
//! 32×32 image. `train.bin` holds 50,000 records and `test.bin` 10,000; any whole number from 1 is accepted.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cifar10::{Layout, class_names, read_files};
use crate::{Error, Result, Split, files};

/// Names of the classes, in the order of the fine labels.
#[rustfmt::skip]
pub const CLASSES: [&str; 100] = [
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur",
    "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard",
    "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree",
    "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
    "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
    "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
];

/// The data files: training images, then test images.
pub(crate) const FILES: [&str; 2] = ["train.bin", "test.bin"];

const NAMES_FILE: &str = "fine_label_names.txt";
const EXPECTED: &str =
    "the .bin files of cifar-100-binary.tar.gz, in the folder itself or in cifar-100-binary";

/// The coarse label, and then the fine one.
const LAYOUT: Layout = Layout(&[19, 99]);

/// Loads the data set from `folder`, which holds the `.bin` files itself or in `cifar-100-binary`. The classes are named by
/// `fine_label_names.txt` if it is there and gives a hundred names, else by [`CLASSES`].
///
/// # Errors
/// [`Error::MissingFiles`] where a file is missing; [`Error::Format`] for one that is empty or not a whole number of records;
/// [`Error::Label`] for a coarse label over 19 or a fine one over 99; [`Error::Read`] where reading fails.
pub fn load(folder: &Path) -> Result<Split> {
    let folder = find(folder)?;
    let classes = class_names(&folder, NAMES_FILE, &CLASSES);
    let part = |name: &str, classes| {
        let path = files::find(&folder, &[name.to_owned()])?.unwrap_or_else(|| folder.join(name));
        read_files(&[path], classes, LAYOUT)
    };
    Ok(Split { train: part(FILES[0], classes.clone())?, test: part(FILES[1], classes)? })
}

/// The folder that holds the data files: `folder` itself, else its `cifar-100-binary`.
///
/// # Errors
/// [`Error::Read`] where `folder` is not a folder that can be read; [`Error::MissingFiles`].
pub fn find(folder: &Path) -> Result<PathBuf> {
    fs::read_dir(folder).map_err(Error::read(folder))?;
    let mut fewest: Option<(PathBuf, Vec<String>)> = None;
    for folder in [folder.to_path_buf(), folder.join("cifar-100-binary")] {
        let mut missing = Vec::new();
        for name in FILES {
            if files::find(&folder, &[name.to_owned()])?.is_none() {
                missing.push(name.to_owned());
            }
        }
        if missing.is_empty() {
            return Ok(folder);
        }
        if fewest.as_ref().is_none_or(|(_, fewest)| missing.len() < fewest.len()) {
            fewest = Some((folder, missing));
        }
    }
    let (folder, files) = fewest.unwrap_or_default();
    Err(Error::MissingFiles { folder, files, expected: EXPECTED })
}
