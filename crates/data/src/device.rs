//! A data set on the device: bytes that kernels shuffle, gather and normalise into batches.

use std::borrow::Cow;

use wgrad_autograd::device::shaders::{self, Kernel};
use wgrad_autograd::device::{Buffer, Launch};
use wgrad_autograd::{DType, Error, Gpu, Result, Tensor};

use crate::normalize::Values;
use crate::order::{AUGMENT, RowOrder, check_range, key};
use crate::{ChannelStats, Images, Normalize};

/// How a training image changes from epoch to epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Augment {
    /// Shifts by up to this many pixels along each axis, all equally often, with the edges reflected: a random crop
    /// of the image padded by so many.
    pub padding: usize,
    /// Mirrors every other image, left to right.
    pub flip: bool,
}

impl Default for Augment {
    /// As is usual for CIFAR-10: shifts by up to 4 pixels, and mirror images.
    fn default() -> Self {
        Self { padding: 4, flip: true }
    }
}

impl Augment {
    /// Fails where images of this shape are too small to reflect.
    pub(crate) fn check(self, [_, h, w]: [usize; 3]) -> Result<()> {
        if self.padding >= h.min(w) || self.padding > 1_000 {
            let message =
                format!("a padding of {} around {h} × {w} pixels: it must be smaller", self.padding);
            return Err(Error::shape("augment", message));
        }
        Ok(())
    }
}

impl std::fmt::Display for Augment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "shifted by up to {}{}", self.padding, if self.flip { " and mirrored" } else { "" })
    }
}

/// Where the random numbers of an epoch's augmentation come from: with the image's number they decide what happens
/// to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The run's seed.
    pub seed: u64,
    /// The epoch, counted from 0.
    pub epoch: usize,
}

/// Images on the device, in as many buffers as its limits ask for.
pub struct DeviceImages {
    gpu: Gpu,
    parts: Vec<Part>,
    labels: Buffer,
    order: RowOrder,
    labels_on_host: Vec<u8>,
    shape: [usize; 3],
    fingerprint: String,
}

struct Part {
    pixels: Buffer,
    first: usize,
    count: usize,
}

impl DeviceImages {
    /// Uploads `images`; batches come in their order until [`DeviceImages::shuffle`].
    ///
    /// # Errors
    /// If there are none, or the device cannot hold them.
    pub fn new(gpu: &Gpu, images: &Images) -> Result<Self> {
        if images.is_empty() {
            return Err(Error::shape("images", "there are no images: a set has at least one"));
        }
        let size = images.image_size();
        if size == 0 || images.len().checked_mul(size) != Some(images.pixels.len()) {
            let message = format!("{} bytes for {} images of {size}", images.pixels.len(), images.len());
            return Err(Error::shape("images", message));
        }
        let set = Self::upload(gpu, images.shape(), &images.pixels, images.labels.clone())?;
        Ok(Self { fingerprint: images.fingerprint(), ..set })
    }

    /// The images of one batch, in order.
    #[cfg(feature = "image-files")]
    pub(crate) fn of_batch(gpu: &Gpu, shape: [usize; 3], pixels: &[u8], labels: Vec<u8>) -> Result<Self> {
        Self::upload(gpu, shape, pixels, labels)
    }

    fn upload(gpu: &Gpu, shape: [usize; 3], pixels: &[u8], labels_on_host: Vec<u8>) -> Result<Self> {
        let size: usize = shape.iter().product();
        let limit = gpu.limits().max_storage_buffer_binding_size.min(gpu.limits().max_buffer_size) as usize;
        let most = (limit / size.next_multiple_of(4)).max(1);
        let mut parts = Vec::new();
        for (i, bytes) in pixels.chunks(most * size).enumerate() {
            let pixels = gpu.upload(&in_words(bytes, size))?;
            parts.push(Part { pixels, first: i * most, count: bytes.len() / size });
        }
        let labels = gpu.upload(&labels_on_host)?;
        Ok(Self {
            gpu: gpu.clone(),
            parts,
            labels,
            order: RowOrder::new(gpu, labels_on_host.len())?,
            labels_on_host,
            shape,
            fingerprint: String::new(),
        })
    }

    /// A text that is the same for the same images and labels: see [`Images::fingerprint`].
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels_on_host.len()
    }

    /// Whether there are no images; there always are.
    pub fn is_empty(&self) -> bool {
        self.labels_on_host.is_empty()
    }

    /// `[channels, height, width]`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The labels in the images' own order.
    pub fn labels(&self) -> &[u8] {
        &self.labels_on_host
    }

    /// The order of `epoch`: a permutation that is a function of `seed` and `epoch` alone, the same on every adapter. All
    /// orders come equally often, as far as there are seeds: 2³² of them count.
    ///
    /// # Errors
    /// If the device is lost.
    pub fn shuffle(&self, seed: u64, epoch: usize) -> Result<()> {
        self.order.shuffle(seed, epoch)
    }

    /// The images' own order again.
    ///
    /// # Errors
    /// If the device is lost.
    pub fn unshuffle(&self) -> Result<()> {
        self.order.reset()
    }

    /// Has the batches from now on take these rows, in this order, any of them more than once: as many as there are images.
    /// An image that comes twice in an epoch is augmented in one way.
    ///
    /// # Errors
    /// For another number of rows, a row that is not there, or a lost device.
    pub fn take_rows(&self, rows: &[usize]) -> Result<()> {
        self.order.take(rows)
    }

    /// A launch of one of the engine's kernels, without runtime checks.
    #[expect(unsafe_code, reason = "the sizes that it states are checked before")]
    fn launch<'a>(&'a self, kernel: Kernel<'a>) -> Launch<'a> {
        // SAFETY: the range of a batch is checked before it is gathered, the buffers hold what [`DeviceImages::new`] was
        // given, and the order counts its images.
        unsafe { self.gpu.launch_unchecked(kernel) }
    }

    /// Images and labels at places `start..start + rows` of the current order.
    ///
    /// Shape: `[rows, channels, height, width]` and `[rows]`.
    ///
    /// # Errors
    /// If the device cannot hold them, `rows` is 0, the range leaves the data set, or pixels cannot be normalised so.
    pub fn batch(&self, start: usize, rows: usize, normalize: Normalize) -> Result<(Tensor, Tensor)> {
        self.gather(start, rows, Values::Alike(normalize), None)
    }

    /// As [`DeviceImages::batch`], and as [`DeviceImages::batch_augmented`] where there is a change: each channel is
    /// normalised by its own mean and deviation.
    ///
    /// # Errors
    /// As [`DeviceImages::batch_augmented`], and for statistics of another number of channels.
    pub fn batch_by_channel(
        &self,
        start: usize,
        rows: usize,
        stats: &ChannelStats,
        augment: Option<(Augment, Draw)>,
    ) -> Result<(Tensor, Tensor)> {
        if let Some((augment, _)) = augment {
            augment.check(self.shape)?;
        }
        self.gather(start, rows, Values::ByChannel(stats), augment)
    }

    /// As [`DeviceImages::batch`], each image changed by `augment` in a way that is a function of `draw` and of its
    /// number in the data set alone, whatever the order and the batch.
    ///
    /// # Errors
    /// As [`DeviceImages::batch`], and for a padding that the images are too small to reflect, or over 1,000.
    pub fn batch_augmented(
        &self,
        start: usize,
        rows: usize,
        normalize: Normalize,
        augment: Augment,
        draw: Draw,
    ) -> Result<(Tensor, Tensor)> {
        augment.check(self.shape)?;
        self.gather(start, rows, Values::Alike(normalize), Some((augment, draw)))
    }

    fn gather(
        &self,
        start: usize,
        rows: usize,
        values: Values<'_>,
        augment: Option<(Augment, Draw)>,
    ) -> Result<(Tensor, Tensor)> {
        check_range(start, rows, self.len())?;
        let (scale, shift) = values.uniform()?;
        let stats = values.stats(&self.gpu, self.shape[0])?;
        let [c, h, w] = self.shape;
        let size = c * h * w;
        let words = rows * size.div_ceil(4);
        let x = Tensor::empty(&self.gpu, &[rows, c, h, w])?;
        let y = Tensor::empty_of(&self.gpu, &[rows], DType::I32)?;
        let put = match &stats {
            Some(_) => &shaders::PUT_CHANNELS,
            None if size.is_multiple_of(4) => &shaders::PUT_VEC4,
            None => &shaders::PUT_SCALAR,
        };
        let pixels = if augment.is_some() { &shaders::PIXELS_AUGMENTED } else { &shaders::PIXELS_PLAIN };
        let kernel = Kernel::new(&shaders::GATHER_IMAGES, "gather_images").with(put).with(pixels);
        let (key, epoch) = augment.map_or((0, 0), |(_, draw)| (key(draw.seed, AUGMENT), draw.epoch));
        for part in &self.parts {
            let of_augmented = augment.iter().flat_map(|(Augment { padding, flip }, _)| {
                [("H", h), ("W", w), ("PAD", *padding), ("FLIP", usize::from(*flip))]
            });
            let mut launch = self.launch(kernel);
            if let Some(stats) = &stats {
                launch = launch.constant("PLANE", h * w).bind("stats", stats.whole());
            }
            launch
                .constant("SIZE", size)
                .constants(of_augmented)
                .bind_all([("order", self.order.tensor().bind()), ("pixels", part.pixels.whole())])
                .bind_all([("labels", self.labels.whole()), ("x", x.bind()), ("y", y.bind())])
                .set_all([("n", words), ("start", start), ("key", key as usize)])
                .set_all([("first", part.first), ("count", part.count), ("epoch", epoch)])
                .set_all_f32([("scale", scale), ("shift", shift)])
                .max_iterations(8)
                // Of the data set, which is bound whole, only the batch is read.
                .bytes_read((4 * words + 8 * rows) as u64)
                .threads(words)
                .enqueue()?;
        }
        Ok((x, y))
    }
}

/// Images of `size` bytes, each padded to whole words.
fn in_words(bytes: &[u8], size: usize) -> Cow<'_, [u8]> {
    let padded = size.next_multiple_of(4);
    if padded == size {
        return Cow::Borrowed(bytes);
    }
    let mut words = vec![0; bytes.len() / size * padded];
    for (to, from) in words.chunks_exact_mut(padded).zip(bytes.chunks_exact(size)) {
        to[..size].copy_from_slice(from);
    }
    Cow::Owned(words)
}
