//! Batches of images that the device cannot hold all at once (cargo feature `image-files`).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use rayon::prelude::*;
use wgrad_autograd::Gpu;

use crate::batches::Changes;
use crate::folder::{Files, Item, Prepare, load_image};
use crate::order::{AUGMENT, check_range, key, random, shuffled_row};
use crate::{
    Augment, Batch, Batches, ChannelStats, DeviceImages, Draw, Error, Images, Normalize, Order, Result, split,
};

/// Batches of images that are decoded, or collected from the host's memory, while the device works on those before: on all
/// cores, and some batches ahead. They are the same, to the bit, as those of [`ImageBatches`](crate::ImageBatches) over the
/// same images. The host holds so many batches as it is ahead, and one; the device those that it works on.
pub struct StreamedImages {
    gpu: Gpu,
    source: Arc<Source>,
    normalize: Normalize,
    by_channel: Option<ChannelStats>,
    augment: Option<Augment>,
    weights: Option<Vec<f32>>,
    ahead: usize,
    ring: RefCell<Ring>,
    fingerprint: String,
}

struct Source {
    pixels: Pixels,
    labels: Vec<u8>,
    shape: [usize; 3],
}

enum Pixels {
    Files(Vec<Item>, Prepare),
    Host(Arc<Images>),
}

/// Where the rows of an epoch come from.
#[derive(Clone)]
enum Rows {
    Own,
    Shuffled(Draw),
    Drawn(Arc<Vec<usize>>),
}

/// The batches that are under way, in the order in which they will be asked for.
struct Ring {
    rows: Rows,
    draw: Option<Draw>,
    batches: VecDeque<UnderWay>,
    /// Where the last batch began that was asked for in this order, and its rows.
    last: Option<(usize, usize)>,
    /// How far apart batches begin, where that is not their number of rows: each of several ranks takes its part of every step.
    stride: Option<usize>,
}

struct UnderWay {
    start: usize,
    rows: usize,
    bytes: Receiver<Result<Bytes>>,
}

impl Ring {
    /// Drops batches that were prepared for another request than this one, and says how far apart the next ones begin.
    fn turn_to(&mut self, start: usize, rows: usize) -> usize {
        if self.batches.front().is_none_or(|next| (next.start, next.rows) != (start, rows)) {
            self.batches.clear();
            if let Some((before, _)) = self.last.filter(|&(_, count)| count == rows) {
                self.stride = start.checked_sub(before).filter(|&stride| stride > rows);
            }
        }
        self.last = Some((start, rows));
        self.stride.unwrap_or(rows)
    }
}

/// Pixels and labels of a batch.
struct Bytes(Vec<u8>, Vec<u8>);

/// So many batches are prepared ahead, if nothing else is said.
const AHEAD: usize = 4;

impl StreamedImages {
    /// Batches of files, such as those of [`scan`](crate::folder::scan), decoded anew in each epoch. A file that cannot be
    /// read is an error of the batch that it belongs to. The fingerprint is that of names, lengths and labels.
    ///
    /// # Errors
    /// [`Error::Rows`] for no files; [`Error::Read`] for one that is not there; [`Error::Images`] for a shape that is no image's.
    pub fn files(gpu: &Gpu, items: Vec<Item>, prepare: &Prepare, normalize: Normalize) -> Result<Self> {
        prepare.check()?;
        let mut hash = crc32fast::Hasher::new();
        for Item { path, label } in &items {
            let length = std::fs::metadata(path).map_err(Error::read(path))?.len();
            let names = path.iter().rev().take(2).map(|part| part.to_string_lossy());
            hash.update(format!("{} {length} {label}\n", names.collect::<Vec<_>>().join("/")).as_bytes());
        }
        let shape = prepare.shape();
        let fingerprint = format!("{} files as {shape:?}, crc {:08x}", items.len(), hash.finalize());
        let labels = items.iter().map(|item| item.label).collect();
        let source = Source { pixels: Pixels::Files(items, *prepare), labels, shape };
        Self::new(gpu, source, normalize, fingerprint)
    }

    /// Batches of files that were looked at before. The fingerprint is that of their pixels, as if they lay on the device.
    ///
    /// # Errors
    /// [`Error::Rows`] for no files.
    pub fn of(gpu: &Gpu, files: &Files, normalize: Normalize) -> Result<Self> {
        let pixels = Pixels::Files(files.items().to_vec(), *files.prepare());
        let source = Source { pixels, labels: files.labels(), shape: files.shape() };
        Self::new(gpu, source, normalize, files.fingerprint())
    }

    /// Batches of images in the host's memory.
    ///
    /// # Errors
    /// [`Error::Rows`] for no images.
    pub fn host(gpu: &Gpu, images: impl Into<Arc<Images>>, normalize: Normalize) -> Result<Self> {
        let images = images.into();
        let (shape, fingerprint) = (images.shape(), images.fingerprint());
        let source = Source { labels: images.labels.clone(), shape, pixels: Pixels::Host(images) };
        Self::new(gpu, source, normalize, fingerprint)
    }

    fn new(gpu: &Gpu, source: Source, normalize: Normalize, fingerprint: String) -> Result<Self> {
        if source.labels.is_empty() {
            return Err(Error::Rows("there are no images to stream".to_owned()));
        }
        let ring = Ring { rows: Rows::Own, draw: None, batches: VecDeque::new(), last: None, stride: None };
        Ok(Self {
            gpu: gpu.clone(),
            source: Arc::new(source),
            normalize,
            by_channel: None,
            augment: None,
            weights: None,
            ahead: AHEAD,
            ring: RefCell::new(ring),
            fingerprint,
        })
    }

    /// Changes the images of training from epoch to epoch.
    #[must_use]
    pub fn augmented(mut self, augment: Option<Augment>) -> Self {
        self.augment = augment;
        self
    }

    /// Normalises each channel by its own mean and deviation.
    #[must_use]
    pub fn by_channel(mut self, stats: Option<ChannelStats>) -> Self {
        self.by_channel = stats;
        self
    }

    /// Has a shuffled order draw images with replacement: see [`ImageBatches::weighted`](crate::ImageBatches::weighted).
    ///
    /// # Errors
    /// [`Error::Rows`] for another number of weights, and as [`split::weighted_rows`].
    pub fn weighted(mut self, weights: Option<Vec<f32>>) -> Result<Self> {
        crate::batches::check_weights(weights.as_deref(), self.len())?;
        self.weights = weights;
        Ok(self)
    }

    /// How many batches are prepared ahead: 4 at first, and at least 1.
    #[must_use]
    pub fn ahead(mut self, batches: usize) -> Self {
        self.ahead = batches.max(1);
        self
    }

    /// Has a batch prepared by the cores that are free.
    fn prepare(&self, ring: &Ring, start: usize, rows: usize) -> UnderWay {
        let (send, bytes) = channel();
        let (source, order, change) =
            (Arc::clone(&self.source), ring.rows.clone(), self.augment.zip(ring.draw));
        rayon::spawn(move || {
            // A panic here would end the program.
            let work = catch_unwind(AssertUnwindSafe(|| source.collect(&order, start, rows, change)));
            let lost = || Err(Error::Rows(format!("the images of places {start}… could not be decoded")));
            // Nobody waits for a batch of an order that was changed.
            let _ = send.send(work.unwrap_or_else(|_| lost()));
        });
        UnderWay { start, rows, bytes }
    }
}

/// What a program tells its user about where the images come from.
impl fmt::Display for StreamedImages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = match self.source.pixels {
            Pixels::Files(..) => "files",
            Pixels::Host(_) => "the host's memory",
        };
        let (n, shape) = (self.len(), self.source.shape);
        write!(f, "{n} images of {shape:?} streamed from {from}, {} batches ahead", self.ahead)
    }
}

impl Batches for StreamedImages {
    type Batch = Batch;

    fn len(&self) -> usize {
        self.source.labels.len()
    }

    fn set_order(&self, order: Order) -> Result<()> {
        let (rows, draw) = match (order, &self.weights) {
            (Order::Own, _) => (Rows::Own, None),
            (Order::Sequential(draw), _) => (Rows::Own, Some(draw)),
            (Order::Shuffled(draw), None) => (Rows::Shuffled(draw), Some(draw)),
            (Order::Shuffled(draw), Some(weights)) => {
                (Rows::Drawn(Arc::new(split::weighted_rows(weights, draw)?)), Some(draw))
            }
        };
        let mut ring = self.ring.borrow_mut();
        *ring = Ring { rows, draw, batches: VecDeque::new(), last: None, stride: ring.stride };
        Ok(())
    }

    fn batch(&self, start: usize, rows: usize) -> Result<Batch> {
        check_range(start, rows, self.len())?;
        if let Some(augment) = self.augment {
            augment.check(self.source.shape)?;
        }
        let mut ring = self.ring.borrow_mut();
        let stride = ring.turn_to(start, rows);
        let mut next = ring.batches.back().map_or(start, |last| last.start.saturating_add(stride));
        while ring.batches.len() <= self.ahead && next < self.len() && rows > 0 {
            let under_way = self.prepare(&ring, next, rows.min(self.len() - next));
            ring.batches.push_back(under_way);
            next = next.saturating_add(stride);
        }
        let received = ring.batches.pop_front().and_then(|first| first.bytes.recv().ok());
        let Bytes(pixels, labels) =
            received.unwrap_or_else(|| Err(Error::Rows("no rows of a batch".to_owned())))?;
        let part = DeviceImages::of_batch(&self.gpu, self.source.shape, &pixels, labels)?;
        let (x, y) = match &self.by_channel {
            Some(stats) => part.batch_by_channel(0, rows, stats, None)?,
            None => part.batch(0, rows, self.normalize)?,
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
        changes.fingerprint(&self.fingerprint)
    }
}

impl Source {
    fn collect(
        &self,
        order: &Rows,
        start: usize,
        rows: usize,
        change: Option<(Augment, Draw)>,
    ) -> Result<Bytes> {
        let row = |place: usize| match order {
            Rows::Own => place,
            Rows::Shuffled(draw) => shuffled_row(self.labels.len(), place, *draw),
            Rows::Drawn(rows) => rows[place],
        };
        let numbers: Vec<usize> = (start..start + rows).map(row).collect();
        let image = |&number: &usize| -> Result<Vec<u8>> {
            let image = match &self.pixels {
                Pixels::Files(items, prepare) => load_image(&items[number].path, prepare)?,
                Pixels::Host(images) => images.image(number).unwrap_or_default().to_vec(),
            };
            Ok(match change {
                Some((augment, draw)) => changed(&image, self.shape, number, augment, draw),
                None => image,
            })
        };
        let images: Result<Vec<Vec<u8>>> = numbers.par_iter().map(image).collect();
        let labels = numbers.iter().map(|&number| self.labels[number]).collect();
        Ok(Bytes(images?.concat(), labels))
    }
}

/// What the kernel (`pixels_augmented.wgsl`) makes of image `number`.
fn changed(image: &[u8], [c, h, w]: [usize; 3], number: usize, augment: Augment, draw: Draw) -> Vec<u8> {
    let word = random(key(draw.seed, AUGMENT), draw.epoch as u32, number as u32);
    let span = 2 * augment.padding as u32 + 1;
    let down = (((word & 0xffff) * span) >> 16) as isize - augment.padding as isize;
    let right = ((((word >> 16) & 0x7fff) * span) >> 15) as isize - augment.padding as isize;
    let mirrored = augment.flip && word >> 31 == 1;
    let reflected = |at: isize, n: usize| {
        let last = n as isize - 1;
        (last - (last - at.abs()).abs()) as usize
    };
    let columns: Vec<usize> =
        (0..w).map(|x| reflected((if mirrored { w - 1 - x } else { x }) as isize + right, w)).collect();
    let mut to = Vec::with_capacity(image.len());
    for (plane, y) in (0..c).flat_map(|plane| (0..h).map(move |y| (plane, y))) {
        let line = &image[(plane * h + reflected(y as isize + down, h)) * w..][..w];
        to.extend(columns.iter().map(|&column| line[column]));
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A batch that was prepared.
    fn under_way((start, rows): (usize, usize)) -> UnderWay {
        UnderWay { start, rows, bytes: channel().1 }
    }

    #[test]
    fn batches_of_one_of_several_ranks_are_expected_where_they_are() {
        let mut ring =
            Ring { rows: Rows::Own, draw: None, batches: VecDeque::new(), last: None, stride: None };
        assert_eq!(ring.turn_to(32, 32), 32);
        ring.batches.extend([(64, 32), (96, 32)].map(under_way));
        // Not what was expected: from now on every other batch is.
        assert_eq!((ring.turn_to(96, 32), ring.batches.len()), (64, 0));
        ring.batches.push_back(under_way((160, 32)));
        assert_eq!((ring.turn_to(160, 32), ring.batches.len()), (64, 1));
        // The smaller batch at an epoch's end tells nothing, and neither does the first of the next one.
        assert_eq!(ring.turn_to(210, 18), 64);
        (ring.batches, ring.last) = (VecDeque::new(), None);
        assert_eq!(ring.turn_to(32, 32), 64);
        // Somebody who goes back, or over all, is followed too.
        assert_eq!((ring.turn_to(0, 32), ring.turn_to(32, 32)), (32, 32));
    }
}
