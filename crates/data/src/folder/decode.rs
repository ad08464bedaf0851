//! PNG and JPEG files into RGB.

use std::io::Cursor;
use std::path::Path;

use image::codecs::png::PngDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, Limits, RgbImage};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use crate::{Error, Result};

/// Bytes of the longest file that is read.
pub(super) const LONGEST: u64 = 1 << 29;

/// The most pixels of a picture: 8192 × 8192.
const MOST_PIXELS: u64 = 1 << 26;

/// What a decoder may take at once: 16 bits of four channels for each pixel.
const MOST_MEMORY: u64 = 8 * MOST_PIXELS;

/// Neither deflate nor a JPEG's scans come to more samples a byte than this, so a larger claim is a lie.
const MOST_RATIO: u64 = 1032;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The picture in a file, upright and opaque.
pub(super) fn rgb(bytes: &[u8], path: &Path, background: [u8; 3]) -> Result<RgbImage> {
    let (mut picture, orientation) = if bytes.starts_with(PNG) {
        png(bytes, path)?
    } else if bytes.starts_with(&[0xff, 0xd8]) {
        jpeg(bytes, path)?
    } else {
        return Err(Error::format(path, "neither of them", "a PNG or JPEG file"));
    };
    picture.apply_orientation(orientation);
    Ok(opaque(picture, background))
}

fn png(bytes: &[u8], path: &Path) -> Result<(DynamicImage, Orientation)> {
    let failed = |error: image::ImageError| damaged(path, error.to_string());
    // The header's fields stand at fixed places. Samples of less than a byte are packed.
    let field =
        |at: usize| bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes);
    let (Some(width), Some(height), Some(&bits)) = (field(16), field(20), bytes.get(24)) else {
        return Err(damaged(path, "the header is cut short"));
    };
    check_size(path, bytes.len(), width.into(), height.into(), (8 / u64::from(bits.clamp(1, 8))).max(1))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_MEMORY);
    let mut decoder = PngDecoder::with_limits(Cursor::new(bytes), limits).map_err(failed)?;
    let orientation = decoder.orientation().map_err(failed)?;
    Ok((DynamicImage::from_decoder(decoder).map_err(failed)?, orientation))
}

fn jpeg(bytes: &[u8], path: &Path) -> Result<(DynamicImage, Orientation)> {
    let failed = |error: zune_jpeg::errors::DecodeErrors| damaged(path, format!("{error:?}"));
    if !has_end(bytes) {
        return Err(damaged(path, "the file is cut short"));
    }
    // Strict: otherwise a damaged picture becomes grey from some row on.
    let options =
        DecoderOptions::default().set_strict_mode(true).set_max_width(65_535).set_max_height(65_535);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(failed)?;
    let (Some((width, height)), Some(colours)) = (decoder.dimensions(), decoder.input_colorspace()) else {
        return Err(damaged(path, "there is no header"));
    };
    check_size(path, bytes.len(), width as u64, height as u64, 1)?;
    let colours = if colours == ColorSpace::Luma { ColorSpace::Luma } else { ColorSpace::RGB };
    decoder.set_options(options.jpeg_set_out_colorspace(colours));
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    let pixels = decoder.decode().map_err(failed)?;
    let (width, height) = (width as u32, height as u32);
    let picture = match colours {
        ColorSpace::Luma => image::GrayImage::from_raw(width, height, pixels).map(DynamicImage::from),
        _ => RgbImage::from_raw(width, height, pixels).map(DynamicImage::from),
    };
    let picture = picture.ok_or_else(|| damaged(path, "there are fewer pixels than the header says"))?;
    Ok((picture, orientation.unwrap_or(Orientation::NoTransforms)))
}

/// Whether a JPEG's segments and scans reach the marker of its end.
fn has_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(mark) = bytes.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == 0xff)) {
        at += mark + 1;
        match bytes.get(at) {
            Some(0xd9) => return true,
            // What follows a scan's header is read byte by byte; there 0xff 0 is a byte of the picture, and restart
            // markers stand between its parts. 0xff again fills up.
            Some(0 | 1 | 0xd0..=0xd7) => at += 1,
            Some(0xff) => {}
            Some(_) => {
                let Some(&[high, low]) = bytes.get(at + 1..at + 3) else { return false };
                at += 1 + usize::from(u16::from_be_bytes([high, low]));
            }
            None => return false,
        }
    }
    false
}

/// `packed` samples stand in a byte.
fn check_size(path: &Path, length: usize, width: u64, height: u64, packed: u64) -> Result<()> {
    let most = (length as u64).saturating_mul(MOST_RATIO * packed).min(MOST_PIXELS);
    if width == 0 || height == 0 || width.saturating_mul(height) > most {
        let found = format!("a claim of {width} × {height} pixels in {length} bytes");
        return Err(Error::format(path, found, format!("1 to {most} pixels")));
    }
    Ok(())
}

fn damaged(path: &Path, what: impl AsRef<str>) -> Error {
    // Decoders' messages may have several lines.
    let line = what.as_ref().lines().next().unwrap_or_default();
    Error::format(path, format!("a damaged picture ({})", line.trim()), "a whole one")
}

/// 8 bits, and no alpha.
fn opaque(picture: DynamicImage, background: [u8; 3]) -> RgbImage {
    match picture {
        DynamicImage::ImageRgb8(rgb) => rgb,
        DynamicImage::ImageLuma8(_) => picture.into_rgb8(),
        other => {
            let rgba = other.into_rgba16();
            let background = background.map(|byte| u64::from(byte) * 257);
            let pixel = |pixel: &image::Rgba<u16>| {
                let [colour @ .., alpha] = pixel.0.map(u64::from);
                let laid =
                    |i: usize| (colour[i] * alpha + background[i] * (65_535 - alpha)) as f64 / 65_535.0;
                image::Rgb([0, 1, 2].map(|i| (laid(i) / 257.0).round() as u8))
            };
            let mut rgb = RgbImage::new(rgba.width(), rgba.height());
            rgb.pixels_mut().zip(rgba.pixels()).for_each(|(to, from)| *to = pixel(from));
            rgb
        }
    }
}
