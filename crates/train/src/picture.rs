//! [`Picture`]: pixels on the host, for logs and reports.

use crate::{Error, Result};

/// An image of 8 bits a channel: grey or RGB, row by row from the top, the channels of a pixel side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    channels: usize,
    pixels: Vec<u8>,
}

impl Picture {
    /// `height` rows of `width` pixels of 1 (grey) or 3 (red, green, blue) channels.
    ///
    /// # Errors
    /// [`Error::Usage`] for other numbers of channels, no pixels, or another number of bytes.
    pub fn new(width: usize, height: usize, channels: usize, pixels: Vec<u8>) -> Result<Self> {
        let bytes = width.checked_mul(height).and_then(|size| size.checked_mul(channels));
        if [1, 3].contains(&channels) && bytes == Some(pixels.len()) && !pixels.is_empty() {
            return Ok(Self { width, height, channels, pixels });
        }
        let message = format!(
            "{} bytes for a picture of {width} x {height} pixels of {channels} channels: there are 1 or 3, and at least a pixel",
            pixels.len()
        );
        Err(Error::Usage(message))
    }

    /// From values `[channels, height, width]`, as tensors of images have them: `low` becomes 0 and `high` 255. NaN becomes 0. Of
    /// more than three channels, or two, the mean is shown in grey.
    ///
    /// # Errors
    /// As [`Picture::new`].
    pub fn from_planes(shape: [usize; 3], values: &[f32], low: f32, high: f32) -> Result<Self> {
        let [channels, height, width] = shape;
        let size = width.checked_mul(height).filter(|&size| size.checked_mul(channels) == Some(values.len()));
        let Some(size) = size.filter(|&size| size > 0) else {
            return Err(Error::Usage(format!("{} values for a picture {shape:?}", values.len())));
        };
        let shown = if channels == 3 { 3 } else { 1 };
        let merged = channels / shown;
        let scale = 255.0 / (high - low);
        let pixels = (0..size * shown).map(|i| {
            let (pixel, channel) = (i / shown, i % shown);
            let sum: f32 = (0..merged).map(|plane| values[(channel * merged + plane) * size + pixel]).sum();
            ((sum / merged as f32 - low) * scale).round() as u8
        });
        Self::new(width, height, shown, pixels.collect())
    }

    /// Of values of both signs: 0 is white, the largest in magnitude red if it is positive and blue if negative. Channels
    /// are added up.
    ///
    /// # Errors
    /// As [`Picture::from_planes`].
    pub fn signed(shape: [usize; 3], values: &[f32]) -> Result<Self> {
        let [channels, height, width] = shape;
        let size = width.checked_mul(height).filter(|&size| size.checked_mul(channels) == Some(values.len()));
        let Some(size) = size.filter(|&size| size > 0) else {
            return Err(Error::Usage(format!("{} values for a picture {shape:?}", values.len())));
        };
        let sums: Vec<f32> =
            (0..size).map(|i| (0..channels).map(|plane| values[plane * size + i]).sum()).collect();
        let largest = sums.iter().fold(0.0_f32, |most, sum| most.max(sum.abs())).max(f32::MIN_POSITIVE);
        let pixels = sums.iter().flat_map(|sum| {
            let share = (sum / largest).clamp(-1.0, 1.0);
            let fades = |full: f32| (255.0 + share.abs() * (full - 255.0)).round() as u8;
            let full = if share > 0.0 { [178.0, 24.0, 43.0] } else { [33.0, 102.0, 172.0] };
            full.map(fades)
        });
        Self::new(width, height, 3, pixels.collect())
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// 1 for grey, 3 for RGB.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Row by row, the channels of a pixel side by side.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// As a PNG file.
    #[cfg(any(feature = "report", feature = "tensorboard"))]
    pub(crate) fn png(&self) -> Result<Vec<u8>> {
        let side = |pixels: usize| u32::try_from(pixels).map_err(|error| Error::Usage(error.to_string()));
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, side(self.width)?, side(self.height)?);
        encoder.set_color(if self.channels == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb });
        encoder.set_depth(png::BitDepth::Eight);
        let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&self.pixels));
        written.map_err(|error| Error::Usage(format!("a picture as PNG: {error}")))?;
        Ok(bytes)
    }
}
