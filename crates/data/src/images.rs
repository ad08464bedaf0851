//! Labelled images as bytes: what every loader returns.

use crate::{ChannelStats, Error, Result};

/// Labelled images as bytes, image after image, each `[channels, height, width]` planes.
///
/// [`Images::new`] checks that the parts fit together; the loaders of this crate go through it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// Planes of an image: 3 for RGB, 1 for grey.
    pub channels: usize,
    /// Rows of a plane.
    pub height: usize,
    /// Columns of a plane.
    pub width: usize,
    /// Names of the classes; a label is an index into them.
    pub classes: Vec<String>,
    /// `[n, channels, height, width]` bytes.
    pub pixels: Vec<u8>,
    /// `[n]` class indices.
    pub labels: Vec<u8>,
}

/// A data set: images to train on, and images to judge by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The training images.
    pub train: Images,
    /// The test images, none of them in the training set.
    pub test: Images,
}

impl Images {
    /// Images from their parts. `shape` is `[channels, height, width]`; `pixels` holds one such block
    /// of bytes for each of `labels`. No images at all are allowed.
    ///
    /// # Errors
    /// [`Error::Images`] where an axis is 0, the bytes and labels do not match the shape, there are no
    /// classes or more than 256, or a label is not below the number of classes.
    pub fn new(shape: [usize; 3], classes: Vec<String>, pixels: Vec<u8>, labels: Vec<u8>) -> Result<Self> {
        let [channels, height, width] = shape;
        let expected = channels
            .checked_mul(height)
            .and_then(|size| size.checked_mul(width))
            .filter(|&size| size > 0)
            .ok_or_else(|| {
                Error::Images(format!(
                    "shape {shape:?} is empty or overflows; give [channels, height, width]"
                ))
            })?
            .checked_mul(labels.len());
        if expected != Some(pixels.len()) {
            return Err(Error::Images(format!(
                "{} bytes for {} labels; each image of shape {shape:?} takes channels * height * width bytes",
                pixels.len(),
                labels.len(),
            )));
        }
        if classes.is_empty() || classes.len() > 256 {
            return Err(Error::Images(format!("{} classes; give 1 to 256 names", classes.len())));
        }
        let unnamed = labels.iter().position(|&label| usize::from(label) >= classes.len());
        if let Some(i) = unnamed {
            return Err(Error::Images(format!(
                "image {i} has label {}; there are {} classes",
                labels[i],
                classes.len(),
            )));
        }
        Ok(Self { channels, height, width, classes, pixels, labels })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// `[channels, height, width]` of each image.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// Bytes of one image, `channels * height * width`.
    pub fn image_size(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// The bytes of image `i`, `[channels, height, width]`; `None` past the last one.
    pub fn image(&self, i: usize) -> Option<&[u8]> {
        let start = i.checked_mul(self.image_size())?;
        self.pixels.get(start..start.checked_add(self.image_size())?)
    }

    /// A text that is the same for the same pixels, labels and shape, and differs for others. In a web page, which keeps no
    /// checkpoints, it is empty.
    pub fn fingerprint(&self) -> String {
        #[cfg(not(target_arch = "wasm32"))]
        {
            let mut hash = crc32fast::Hasher::new();
            hash.update(&self.pixels);
            hash.update(&self.labels);
            format!("{} images of {:?}, crc {:08x}", self.len(), self.shape(), hash.finalize())
        }
        #[cfg(target_arch = "wasm32")]
        String::new()
    }

    /// The images at these places, in this order.
    ///
    /// # Errors
    /// [`Error::Images`] for a place past the last image.
    pub fn select(&self, rows: &[usize]) -> Result<Images> {
        let (mut pixels, mut labels) = (Vec::with_capacity(rows.len() * self.image_size()), Vec::new());
        for &row in rows {
            let image = self.image(row).zip(self.labels.get(row));
            let (image, &label) = image.ok_or_else(|| {
                Error::Images(format!("image {row} is asked for; there are {}", self.len()))
            })?;
            pixels.extend_from_slice(image);
            labels.push(label);
        }
        Images::new(self.shape(), self.classes.clone(), pixels, labels)
    }

    /// The mean and the standard deviation (of the population) of each channel's bytes divided by 255: to be measured on the
    /// training part. A channel whose bytes are all equal has a deviation of 1.
    ///
    /// # Errors
    /// [`Error::Images`] for no images.
    pub fn channel_stats(&self) -> Result<ChannelStats> {
        let plane = self.height * self.width;
        let channel = |c| {
            let planes = self.pixels.chunks_exact(plane).skip(c).step_by(self.channels);
            planes.flatten().fold((0_u64, 0_u64), |(sum, squares), &byte| {
                (sum + u64::from(byte), squares + u64::from(byte) * u64::from(byte))
            })
        };
        let sums: Vec<(u64, u64)> = (0..self.channels).map(channel).collect();
        stats_of_sums(&sums, self.len() * plane)
    }

    /// The images as 28×28 grey, the size of MNIST's: the centre is kept, and RGB becomes luma.
    ///
    /// Luma is `(77 R + 150 G + 29 B + 128) / 256` in integers, so it is the same everywhere.
    ///
    /// # Errors
    /// [`Error::Images`] for images smaller than 28×28, or with other than 1 or 3 channels.
    pub fn to_grey_28(&self) -> Result<Images> {
        const SIDE: usize = 28;
        if self.height < SIDE || self.width < SIDE || ![1, 3].contains(&self.channels) {
            return Err(Error::Images(format!(
                "shape {:?} cannot become 28x28 grey; expected 1 or 3 channels of at least 28x28",
                self.shape(),
            )));
        }
        let (top, left) = ((self.height - SIDE) / 2, (self.width - SIDE) / 2);
        let plane = self.height * self.width;
        let mut pixels = Vec::with_capacity(self.len() * SIDE * SIDE);
        for image in self.pixels.chunks_exact(self.image_size()) {
            for y in top..top + SIDE {
                for x in left..left + SIDE {
                    let at = y * self.width + x;
                    pixels.push(match self.channels {
                        1 => image[at],
                        _ => luma(image[at], image[plane + at], image[2 * plane + at]),
                    });
                }
            }
        }
        Images::new([1, SIDE, SIDE], self.classes.clone(), pixels, self.labels.clone())
    }
}

/// Mean and deviation of each channel of `n` bytes, from the sums of the bytes and of their squares, which are exact for up to 2^48 of
/// them.
pub(crate) fn stats_of_sums(sums: &[(u64, u64)], n: usize) -> Result<ChannelStats> {
    if n == 0 {
        return Err(Error::Images("no images to measure".to_owned()));
    }
    let one = |&(sum, squares): &(u64, u64)| {
        let level = sum as f64 / n as f64;
        let variance = (squares as f64 / n as f64 - level * level).max(0.0);
        ((level / 255.0) as f32, if variance < 1e-6 { 1.0 } else { (variance.sqrt() / 255.0) as f32 })
    };
    let (mean, std) = sums.iter().map(one).unzip();
    Ok(ChannelStats { mean, std })
}

pub(crate) fn luma(r: u8, g: u8, b: u8) -> u8 {
    // The weights add up to 256, so the result is at most 255 and the cast loses nothing.
    ((77 * u32::from(r) + 150 * u32::from(g) + 29 * u32::from(b) + 128) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| i.to_string()).collect()
    }

    #[test]
    fn parts_that_fit_are_taken() {
        let images = Images::new([1, 2, 2], names(2), (0..8).collect(), vec![1, 0]).unwrap();
        assert_eq!((images.len(), images.is_empty(), images.image_size()), (2, false, 4));
        assert_eq!(images.image(1), Some(&[4, 5, 6, 7][..]));
        assert_eq!(images.image(2), None);
        assert_eq!(images.image(usize::MAX), None);
        assert!(Images::new([1, 2, 2], names(2), vec![], vec![]).unwrap().is_empty());
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let refused = |shape, classes, pixels: usize, labels: &[u8], part: &str| {
            let error =
                Images::new(shape, names(classes), vec![0; pixels], labels.to_vec()).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        refused([0, 2, 2], 2, 0, &[], "shape [0, 2, 2]");
        refused([usize::MAX, 2, 2], 2, 0, &[0], "overflows");
        refused([1, 2, 2], 2, 7, &[0, 1], "7 bytes for 2 labels");
        refused([1, 2, 2], 0, 4, &[0], "0 classes");
        refused([1, 1, 1], 257, 1, &[0], "257 classes");
        refused([1, 2, 2], 2, 8, &[1, 2], "image 1 has label 2");
    }

    #[test]
    fn grey_is_the_luma_of_the_centre() {
        let mut pixels = vec![0; 3 * 32 * 32];
        // (row 2, column 2) is the corner of the centre; (1, 1) is cut away.
        pixels[2 * 32 + 2] = 255; // red
        pixels[1024 + 2 * 32 + 3] = 255; // green
        pixels[2048 + 29 * 32 + 29] = 255; // blue, at the far corner
        pixels[32 + 1] = 255;
        let rgb = Images::new([3, 32, 32], names(3), pixels, vec![2]).unwrap();
        let grey = rgb.to_grey_28().unwrap();
        assert_eq!((grey.shape(), &grey.labels[..]), ([1, 28, 28], &[2][..]));
        // ITU-R BT.601: 0.299, 0.587 and 0.114 of 255.
        for (at, weight) in [(0, 0.299), (1, 0.587), (27 * 28 + 27, 0.114)] {
            let luma = f64::from(grey.pixels[at]);
            assert!((luma - weight * 255.0).abs() <= 1.0, "{at}: {luma}");
        }
        assert_eq!(grey.pixels.iter().filter(|&&p| p > 0).count(), 3);
        assert_eq!(luma(255, 255, 255), 255);
        assert_eq!(luma(100, 100, 100), 100);
        assert_eq!(grey.to_grey_28().unwrap(), grey);
    }

    #[test]
    fn grey_refuses_small_images_and_odd_channels() {
        for shape in [[3, 27, 32], [3, 32, 27], [2, 32, 32]] {
            let images = Images::new(shape, names(1), vec![], vec![]).unwrap();
            assert!(images.to_grey_28().unwrap_err().to_string().contains("28x28"));
        }
    }
}
