//! How bytes become floats.

use wgrad_autograd::device::Buffer;
use wgrad_autograd::{Error, Gpu, Result};

/// How bytes become floats: `(byte / 255 - mean) / std`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalize {
    /// The mean, which is subtracted.
    pub mean: f32,
    /// The standard deviation, by which the difference is divided.
    pub std: f32,
}

impl Default for Normalize {
    /// To -1 … 1.
    fn default() -> Self {
        Self { mean: 0.5, std: 0.5 }
    }
}

/// The mean and the standard deviation of each channel, of bytes divided by 255: see
/// [`Images::channel_stats`](crate::Images::channel_stats).
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelStats {
    /// The means, `[channels]`.
    pub mean: Vec<f32>,
    /// The deviations, `[channels]`.
    pub std: Vec<f32>,
}

/// How a batch's bytes become floats.
pub(crate) enum Values<'a> {
    Alike(Normalize),
    ByChannel(&'a ChannelStats),
}

impl Values<'_> {
    /// Scale and shift of all bytes.
    pub(crate) fn uniform(&self) -> Result<(f32, f32)> {
        match *self {
            Self::Alike(normalize) => scale_and_shift(normalize),
            Self::ByChannel(_) => Ok((1.0, 0.0)),
        }
    }

    /// Scales and shifts of the channels, where they differ.
    pub(crate) fn stats(&self, gpu: &Gpu, channels: usize) -> Result<Option<Buffer>> {
        let Self::ByChannel(ChannelStats { mean, std }) = self else { return Ok(None) };
        if mean.len() != channels || std.len() != channels {
            let message = format!("{} means and {} deviations of {channels} channels", mean.len(), std.len());
            return Err(Error::shape("batch", message));
        }
        let each = mean.iter().zip(std).map(|(&mean, &std)| scale_and_shift(Normalize { mean, std }));
        let (scales, shifts): (Vec<f32>, Vec<f32>) = each.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        Ok(Some(gpu.upload(&[scales, shifts].concat())?))
    }
}

fn scale_and_shift(normalize: Normalize) -> Result<(f32, f32)> {
    let (scale, shift) = (1.0 / (255.0 * normalize.std), -normalize.mean / normalize.std);
    // It may overflow where the options themselves are finite.
    if ![0.0, 255.0].iter().all(|byte| (byte * scale + shift).is_finite()) {
        let message = format!("{normalize:?}: pixels would be no numbers; std is not 0, and both are finite");
        return Err(Error::shape("batch", message));
    }
    Ok((scale, shift))
}
