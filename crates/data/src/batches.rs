//! Batches of a training loop: where they come from, and in which order.

use wgrad_autograd::{DType, Gpu, Tensor};

use crate::order::{RowOrder, check_range};
use crate::{Augment, ChannelStats, DeviceImages, Draw, Error, Normalize, Result, split};

/// In which order an epoch takes its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The data set's own, and nothing is changed at random: for evaluation.
    Own,
    /// The data set's own, with the random changes that training makes to its rows.
    Sequential(Draw),
    /// A permutation that is a function of seed and epoch alone, with the random changes that training makes to its rows.
    Shuffled(Draw),
}

impl Order {
    fn draw(self) -> Option<Draw> {
        match self {
            Self::Own => None,
            Self::Sequential(draw) | Self::Shuffled(draw) => Some(draw),
        }
    }
}

/// A data set as a training loop sees it: so many rows in an order, from which it takes one batch after the other.
///
/// A batch is a function of the order, the place and the number of rows, so that a run that goes on in the middle of an
/// epoch sees what an unbroken one would have seen. Counterpart: PyTorch's `DataLoader`.
pub trait Batches {
    /// What the loss is computed from.
    type Batch;

    /// The number of rows of an epoch, at least 1.
    fn len(&self) -> usize;

    /// Whether there are no rows.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets the order of the batches that are taken from now on.
    ///
    /// # Errors
    /// What the device reports.
    fn set_order(&self, order: Order) -> Result<()>;

    /// The rows at places `start..start + rows` of the order.
    ///
    /// # Errors
    /// If the range leaves the data set, or for a row that cannot be read.
    fn batch(&self, start: usize, rows: usize) -> Result<Self::Batch>;

    /// A short text that is the same for the same data, and differs for other data: a checkpoint keeps it, so that a run is not
    /// resumed on other data by mistake.
    fn fingerprint(&self) -> String;
}

/// A batch of inputs and targets, row by row.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The inputs, of shape `[rows, ..]`.
    pub x: Tensor,
    /// The targets, of shape `[rows, ..]`: class indices of type i32, or numbers.
    pub y: Tensor,
}

/// Batches of images that lie on the device, normalised and, for training, augmented.
pub struct ImageBatches<'a> {
    images: &'a DeviceImages,
    normalize: Normalize,
    by_channel: Option<ChannelStats>,
    augment: Option<Augment>,
    weights: Option<Vec<f32>>,
    draw: std::cell::Cell<Option<Draw>>,
}

impl<'a> ImageBatches<'a> {
    /// Batches of `images`, without augmentation.
    pub fn new(images: &'a DeviceImages, normalize: Normalize) -> Self {
        let draw = std::cell::Cell::new(None);
        Self { images, normalize, by_channel: None, augment: None, weights: None, draw }
    }

    /// Normalises each channel by its own mean and deviation.
    #[must_use]
    pub fn by_channel(mut self, stats: Option<ChannelStats>) -> Self {
        self.by_channel = stats;
        self
    }

    /// Has a shuffled order draw images with replacement, each as often as its weight says: see
    /// [`split::weighted_rows`]. There is a weight for each image.
    ///
    /// # Errors
    /// [`Error::Rows`] for another number of weights, and as [`split::weighted_rows`].
    pub fn weighted(mut self, weights: Option<Vec<f32>>) -> Result<Self> {
        check_weights(weights.as_deref(), self.images.len())?;
        self.weights = weights;
        Ok(self)
    }

    /// Changes the images of training from epoch to epoch.
    #[must_use]
    pub fn augmented(mut self, augment: Option<Augment>) -> Self {
        self.augment = augment;
        self
    }
}

impl Batches for ImageBatches<'_> {
    type Batch = Batch;

    fn len(&self) -> usize {
        self.images.len()
    }

    fn set_order(&self, order: Order) -> Result<()> {
        self.draw.set(order.draw());
        match (order, &self.weights) {
            (Order::Shuffled(draw), Some(weights)) => {
                self.images.take_rows(&split::weighted_rows(weights, draw)?)?;
            }
            (Order::Shuffled(Draw { seed, epoch }), None) => self.images.shuffle(seed, epoch)?,
            (Order::Own | Order::Sequential(_), _) => self.images.unshuffle()?,
        }
        Ok(())
    }

    fn batch(&self, start: usize, rows: usize) -> Result<Batch> {
        let (images, normalize) = (self.images, self.normalize);
        let change = self.augment.zip(self.draw.get());
        let (x, y) = match (&self.by_channel, change) {
            (Some(stats), change) => images.batch_by_channel(start, rows, stats, change)?,
            (None, Some((augment, draw))) => images.batch_augmented(start, rows, normalize, augment, draw)?,
            (None, None) => images.batch(start, rows, normalize)?,
        };
        Ok(Batch { x, y })
    }

    fn fingerprint(&self) -> String {
        let changes = Changes {
            normalize: self.normalize,
            by_channel: self.by_channel.as_ref(),
            augment: self.augment,
            weights: self.weights.as_deref(),
        };
        changes.fingerprint(self.images.fingerprint())
    }
}

/// Batches of rows of two tensors, such as the columns of a table.
pub struct TensorBatches {
    x: Tensor,
    y: Tensor,
    order: RowOrder,
    weights: Option<Vec<f32>>,
    fingerprint: String,
}

impl TensorBatches {
    /// Row `i` of `x`, of shape `[n, ..]`, belongs to row `i` of `y`, of shape `[n, ..]`. Values are read once, for the
    /// fingerprint.
    ///
    /// # Errors
    /// [`Error::Rows`] where the numbers of rows differ, or there are none.
    pub fn new(x: &Tensor, y: &Tensor) -> Result<Self> {
        let (Some(&n), Some(&targets)) = (x.shape().first(), y.shape().first()) else {
            return Err(Error::Rows(format!(
                "inputs {:?} and targets {:?}: each needs rows",
                x.shape(),
                y.shape()
            )));
        };
        if n != targets || n == 0 {
            let message =
                format!("{n} rows of inputs and {targets} of targets; give as many, and at least one");
            return Err(Error::Rows(message));
        }
        let mut hash = crc32fast::Hasher::new();
        for part in [x, y] {
            let text = format!("{:?} {:?}", part.dtype(), part.shape());
            hash.update(text.as_bytes());
            let bytes: Vec<u8> = match part.dtype() {
                DType::I32 => part.to_vec_as::<i32>()?.iter().flat_map(|value| value.to_le_bytes()).collect(),
                DType::U8 => part.to_vec_as::<u8>()?,
                _ => part
                    .to_dtype(DType::F32)?
                    .to_vec()?
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect(),
            };
            hash.update(&bytes);
        }
        let fingerprint = format!("{n} rows, crc {:08x}", hash.finalize());
        let order = RowOrder::new(x.gpu(), n)?;
        Ok(Self { x: x.detach(), y: y.detach(), order, weights: None, fingerprint })
    }

    /// Has a shuffled order draw rows with replacement, each as often as its weight says: see [`split::weighted_rows`].
    /// There is a weight for each row.
    ///
    /// # Errors
    /// [`Error::Rows`] for another number of weights, and as [`split::weighted_rows`].
    pub fn weighted(mut self, weights: Option<Vec<f32>>) -> Result<Self> {
        check_weights(weights.as_deref(), self.order.len())?;
        self.weights = weights;
        Ok(self)
    }

    /// The device that holds them.
    pub fn gpu(&self) -> &Gpu {
        self.x.gpu()
    }
}

impl Batches for TensorBatches {
    type Batch = Batch;

    fn len(&self) -> usize {
        self.order.len()
    }

    fn set_order(&self, order: Order) -> Result<()> {
        match (order, &self.weights) {
            (Order::Shuffled(draw), Some(weights)) => {
                self.order.take(&split::weighted_rows(weights, draw)?)?
            }
            (Order::Shuffled(Draw { seed, epoch }), None) => self.order.shuffle(seed, epoch)?,
            (Order::Own | Order::Sequential(_), _) => self.order.reset()?,
        }
        Ok(())
    }

    fn batch(&self, start: usize, rows: usize) -> Result<Batch> {
        check_range(start, rows, self.order.len())?;
        let places = self.order.tensor().slice(0, start, start + rows)?;
        Ok(Batch { x: self.x.index_select(0, &places)?, y: self.y.index_select(0, &places)? })
    }

    fn fingerprint(&self) -> String {
        let weights = self.weights.as_deref();
        Changes { weights, ..Changes::default() }.fingerprint(&self.fingerprint)
    }
}

/// What is done to rows besides reading them: a run that goes on with another choice, or a rank that has made one, would see other
/// batches of the same data.
#[derive(Default)]
pub(crate) struct Changes<'a> {
    pub(crate) normalize: Normalize,
    pub(crate) by_channel: Option<&'a ChannelStats>,
    pub(crate) augment: Option<Augment>,
    pub(crate) weights: Option<&'a [f32]>,
}

impl Changes<'_> {
    /// The fingerprint of data, and of what is done to them where it is anything.
    pub(crate) fn fingerprint(&self, data: &str) -> String {
        let crc = |values: &mut dyn Iterator<Item = f32>| {
            let mut hash = crc32fast::Hasher::new();
            values.for_each(|value| hash.update(&value.to_le_bytes()));
            format!("crc {:08x}", hash.finalize())
        };
        let mut text = data.to_owned();
        if let Some(ChannelStats { mean, std }) = self.by_channel {
            text += &format!(", by channel {}", crc(&mut mean.iter().chain(std).copied()));
        } else if self.normalize != Normalize::default() {
            text += &format!(", mean {} and deviation {}", self.normalize.mean, self.normalize.std);
        }
        if let Some(Augment { padding, flip }) = self.augment {
            text += &format!(", shifted by {padding}{}", if flip { " and mirrored" } else { "" });
        }
        if let Some(weights) = self.weights {
            text += &format!(", weights {}", crc(&mut weights.iter().copied()));
        }
        text
    }
}

pub(crate) fn check_weights(weights: Option<&[f32]>, rows: usize) -> Result<()> {
    let Some(weights) = weights else { return Ok(()) };
    if weights.len() != rows {
        return Err(Error::Rows(format!("{} weights for {rows} rows", weights.len())));
    }
    split::weighted_rows(weights, Draw { seed: 0, epoch: 0 }).map(|_| ())
}
