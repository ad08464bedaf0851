//! PNG and JPEG files, alone and in folders.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat};
use tempfile::TempDir;
use wgrad_data::folder::{Bad, Prepare, decode_image, load};

use super::refused;

/// Deflate packs up to 1,032 bytes into one, and a palette's entry of a bit becomes three bytes; a progressive JPEG's coefficients are of
/// two bytes. A reader believes in no more.
pub(super) const MEMORY: usize = 1032 * 8 * 4;

const TURNED: &[u8] = include_bytes!("../../../crates/data/tests/data/pictures/turned.jpg");
const CMYK: &[u8] = include_bytes!("../../../crates/data/tests/data/pictures/cmyk.jpg");
const YCCK: &[u8] = include_bytes!("../../../crates/data/tests/data/pictures/ycck.jpg");
const PROGRESSIVE: &[u8] = include_bytes!("../../../crates/data/tests/data/pictures/progressive.jpg");

fn picture() -> DynamicImage {
    image::RgbaImage::from_fn(9, 7, |x, y| image::Rgba([x as u8 * 20, y as u8 * 30, 99, (x * y) as u8 * 4]))
        .into()
}

fn packed(picture: &DynamicImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

pub(super) fn pngs() -> Vec<Vec<u8>> {
    let picture = picture();
    let kinds = [
        picture.clone(),
        picture.to_rgb8().into(),
        picture.to_luma8().into(),
        picture.to_luma16().into(),
        picture.to_luma_alpha8().into(),
        picture.to_rgba16().into(),
    ];
    kinds.iter().map(packed).collect()
}

pub(super) fn jpegs() -> Vec<Vec<u8>> {
    let mut grey = Vec::new();
    JpegEncoder::new_with_quality(&mut grey, 80).encode_image(&picture().to_luma8()).unwrap();
    vec![TURNED.to_vec(), CMYK.to_vec(), YCCK.to_vec(), PROGRESSIVE.to_vec(), grey]
}

/// The checksums of a PNG's chunks become right.
pub(super) fn checksums(file: &mut [u8]) {
    let mut at = 8;
    while let Some(length) = file.get(at..at + 4) {
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let Some(end) = at.checked_add(8).and_then(|start| start.checked_add(length)) else { return };
        let Some(chunk) = file.get(at + 4..end) else { return };
        let sum = crc32fast::hash(chunk).to_be_bytes();
        let Some(place) = file.get_mut(end..end + 4) else { return };
        place.copy_from_slice(&sum);
        at = end + 4;
    }
}

pub(super) fn read_picture(file: &[u8]) -> String {
    let prepare = Prepare { channels: 1 + 2 * (file.len() % 2), ..Prepare::new(5, 6) };
    match decode_image(file, Path::new("fuzz"), &prepare) {
        Ok(pixels) => {
            assert_eq!(pixels.len(), prepare.channels * 30);
            "read".to_owned()
        }
        Err(error) => refused(error),
    }
}

/// The first byte: in which part the file lies, whether it is called png or jpg, and whether bad files are left out.
pub(super) fn folder_files() -> Vec<Vec<u8>> {
    let files = [pngs(), jpegs()].concat();
    (0..).zip(files).map(|(first, file)| [&[first], &file[..]].concat()).collect()
}

pub(super) fn read_folder(case: &[u8]) -> String {
    let (&first, file) = case.split_first().unwrap_or((&0, &[]));
    let root = TempDir::new().unwrap();
    let whole = packed(&picture());
    for part in ["train", "val"] {
        for class in ["ant", "bee"] {
            fs::create_dir_all(root.path().join(part).join(class)).unwrap();
            fs::write(root.path().join(part).join(class).join("whole.png"), &whole).unwrap();
        }
    }
    let part = if first & 1 == 0 { "train" } else { "val" };
    let name = if first & 2 == 0 { "x.png" } else { "x.jpg" };
    fs::write(root.path().join(part).join("bee").join(name), file).unwrap();
    let bad = if first & 4 == 0 { Bad::Fail } else { Bad::Skip };
    let said = match load(root.path(), &Prepare::new(4, 4), bad) {
        Ok(folder) => {
            let read = folder.train.len() + folder.validation.map_or(0, |part| part.len());
            assert_eq!(read + folder.skipped.len(), 5);
            folder.skipped.first().map_or("read".to_owned(), |skipped| skipped.reason.clone())
        }
        Err(error) => refused(error),
    };
    said.replace(&root.path().display().to_string(), "")
}
