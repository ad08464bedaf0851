//! [`TensorBoard`]: event files.

mod messages;

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use messages::{Content, Event, Histogram, Image, SessionLog, Summary, Value, What};
use prost::Message as _;

use crate::{Error, Logger, Picture, Result};

/// Writes event files that TensorBoard reads: `tensorboard --logdir FOLDER`. Counterpart: `torch.utils.tensorboard.SummaryWriter`.
///
/// Each process writes a file of its own, and each event at once, so that a killed run leaves whole ones. A resumed run's file
/// tells readers to drop what the older ones have of later steps. Clones write into the same file: one for the trainer, one for
/// what logs images and histograms beside it.
#[derive(Clone)]
pub struct TensorBoard(Arc<Mutex<Inner>>);

struct Inner {
    folder: PathBuf,
    /// The file of this process, from the start on.
    file: Option<(PathBuf, File)>,
    /// Files of this process so far.
    count: usize,
}

impl TensorBoard {
    /// Event files in this folder, which is made with the first event.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Mutex::new(Inner { folder: folder.into(), file: None, count: 0 })))
    }

    /// The file of this process, once there is one.
    pub fn path(&self) -> Option<PathBuf> {
        self.inner().file.as_ref().map(|(path, _)| path.clone())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Whoever panicked has written a whole event or none.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows a picture under this name.
    ///
    /// # Errors
    /// [`Error::Metrics`] for a file that cannot be written.
    pub fn image(&self, step: u64, name: &str, picture: &Picture) -> Result<()> {
        let side = |pixels: usize| pixels.try_into().unwrap_or(i32::MAX);
        let image = Image {
            height: side(picture.height()),
            width: side(picture.width()),
            colorspace: side(picture.channels()),
            encoded_image_string: picture.png()?,
        };
        self.inner().summary(step, vec![(name, Content::Image(image))])
    }

    /// Shows how these values are distributed, such as a layer's weights. Buckets grow by a tenth from 1e-12 on, on both sides of
    /// 0, as TensorFlow has them. NaN and infinities are left out.
    ///
    /// # Errors
    /// [`Error::Metrics`] for a file that cannot be written.
    pub fn histogram(&self, step: u64, name: &str, values: &[f32]) -> Result<()> {
        self.inner().summary(step, vec![(name, Content::Histogram(histogram(values)))])
    }
}

impl Logger for TensorBoard {
    fn start(&mut self, step: u64) -> Result<()> {
        let mut inner = self.inner();
        inner.file = None;
        inner.open()?;
        // What is dropped begins with the step of this event.
        let session = (step > 0).then_some(What::SessionLog(SessionLog { status: 1 }));
        session.map_or(Ok(()), |start| inner.event(step + 1, start))
    }

    fn log(&mut self, step: u64, values: &[(&str, f64)]) -> Result<()> {
        let values = values.iter().map(|(name, value)| (*name, Content::SimpleValue(*value as f32)));
        self.inner().summary(step, values.collect())
    }
}

impl Inner {
    fn open(&mut self) -> Result<()> {
        let seconds = seconds();
        self.count += 1;
        // Readers take files in the order of their names.
        let name =
            format!("events.out.tfevents.{:010}.wgrad.{}.{}", seconds as u64, std::process::id(), self.count);
        let path = self.folder.join(name);
        let failed = |source| Error::Metrics { path: path.clone(), source };
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        let file = OpenOptions::new().append(true).create(true).open(&path).map_err(failed)?;
        self.file = Some((path, file));
        self.event(0, What::FileVersion("brain.Event:2".to_owned()))
    }

    fn summary(&mut self, step: u64, values: Vec<(&str, Content)>) -> Result<()> {
        if self.file.is_none() {
            self.open()?;
        }
        let value = |(tag, content): (&str, _)| Value { tag: tag.to_owned(), content: Some(content) };
        self.event(step, What::Summary(Summary { value: values.into_iter().map(value).collect() }))
    }

    fn event(&mut self, step: u64, what: What) -> Result<()> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        let step = step.try_into().unwrap_or(i64::MAX);
        let event = Event { wall_time: seconds(), step, what: Some(what) };
        let written = file.write_all(&record(&event.encode_to_vec()));
        written.map_err(|source| Error::Metrics { path: path.clone(), source })
    }
}

fn seconds() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// A TFRecord: length, its checksum, the bytes, their checksum.
fn record(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), bytes, &masked(bytes)].concat()
}

/// The format's masked CRC-32C, so that checksums of what holds checksums stay apart.
fn masked(bytes: &[u8]) -> [u8; 4] {
    static CASTAGNOLI: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);
    CASTAGNOLI.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

fn histogram(values: &[f32]) -> Histogram {
    let mut values: Vec<f64> =
        values.iter().filter(|value| value.is_finite()).map(|&v| f64::from(v)).collect();
    values.sort_unstable_by(f64::total_cmp);
    let (Some(&min), Some(&max)) = (values.first(), values.last()) else { return Histogram::default() };
    let mut histogram = Histogram {
        min,
        max,
        num: values.len() as f64,
        sum: values.iter().sum(),
        sum_squares: values.iter().map(|value| value * value).sum(),
        ..Histogram::default()
    };
    let mut rest = &values[..];
    for limit in limits() {
        let (inside, beyond) = rest.split_at(rest.partition_point(|&value| value <= limit));
        // Empty buckets below the first value say nothing.
        if !inside.is_empty() || !histogram.bucket.is_empty() {
            histogram.bucket_limit.push(limit);
            histogram.bucket.push(inside.len() as f64);
        }
        rest = beyond;
        if rest.is_empty() {
            break;
        }
    }
    histogram
}

/// The buckets' upper ends, rising: beyond them only the largest number.
fn limits() -> impl Iterator<Item = f64> {
    const SMALLEST: f64 = 1e-12;
    const STEPS: i32 = 775;
    let size = |step: i32| SMALLEST * 1.1_f64.powi(step);
    let negative = (0..STEPS).rev().map(move |step| -size(step));
    negative.chain([0.0]).chain((0..STEPS).map(size)).chain([f64::MAX])
}
