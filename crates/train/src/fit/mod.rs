//! [`fit`]: the trainer for images and cross-entropy, with a checkpoint and a metrics file of its own formats.

mod checkpoint;

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;

use wgrad_data::{Augment, Batch, DeviceImages, ImageBatches, Normalize};
use wgrad_nn::{Mode, Module, OneCycle, Optimizer, Parameters};

pub use self::checkpoint::{Checkpoint, Position};
use self::checkpoint::{CheckpointFile, Identity};
use crate::logs::MetricsFile;
use crate::metrics::Score;
use crate::trainer::{Ended, EpochRecord};
use crate::{DataParallel, Error, Interrupt, Logger, Output, Result, StepMemory, Trainer};

/// What is trained, on what, by what.
pub struct Task<'a> {
    /// Gives logits `[n, classes]` for a batch of images `[n, channels, height, width]`.
    pub model: &'a dyn Module,
    /// The model's parameters.
    pub parameters: &'a Parameters,
    /// The optimizer that changes the parameters.
    pub optimizer: &'a mut dyn Optimizer,
    /// Images to train on.
    pub train: &'a DeviceImages,
    /// Images to judge by after each epoch.
    pub test: &'a DeviceImages,
}

/// How a run goes.
#[derive(Clone, Debug)]
pub struct Options {
    /// Passes over the training set.
    pub epochs: usize,
    /// Images in a step; the last of an epoch may have fewer.
    pub batch_size: usize,
    /// The seed of the order in which images are taken.
    pub seed: u64,
    /// Stop after this many steps.
    pub max_steps: Option<u64>,
    /// A new order each epoch; otherwise the data set's own.
    pub shuffle: bool,
    /// Share of the target given to all classes alike.
    pub label_smoothing: f32,
    /// How bytes become floats.
    pub normalize: Normalize,
    /// How training images change from epoch to epoch.
    pub augment: Option<Augment>,
    /// The learning rate of each step; otherwise the optimizer's own.
    pub schedule: Option<OneCycle>,
    /// JSON lines with each step's loss and each epoch's figures.
    pub metrics: Option<PathBuf>,
    /// Folder for a checkpoint after each epoch, and when the run is interrupted.
    pub checkpoint: Option<PathBuf>,
    /// Continue from the folder's checkpoint, if it has one.
    pub resume: bool,
    /// Show a progress bar on a terminal, and print each epoch's figures.
    pub progress: bool,
    /// The ranks that train together, each of which calls [`fit`]; the batch size is each rank's.
    pub parallel: Option<DataParallel>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: 64,
            seed: 0,
            max_steps: None,
            shuffle: true,
            label_smoothing: 0.0,
            normalize: Normalize::default(),
            augment: None,
            schedule: None,
            metrics: None,
            checkpoint: None,
            resume: false,
            progress: true,
            parallel: None,
        }
    }
}

/// An epoch's figures.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochReport {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean over its images.
    pub train_loss: f64,
    /// Share of the test images that the model names rightly, 0 to 1.
    pub test_accuracy: f64,
    /// Time of its training steps, without the test.
    pub seconds: f64,
}

/// How a run ended.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Steps made in all, those before a resumption included.
    pub steps: u64,
    /// The epochs completed in this process.
    pub epochs: Vec<EpochReport>,
    /// Whether it was interrupted.
    pub interrupted: bool,
    /// What a step takes on the device, measured in the first steps.
    pub memory: StepMemory,
}

/// Trains until the epochs or steps are done, or somebody interrupts: a [`Trainer`] of images and cross-entropy.
///
/// # Errors
/// [`Error::NotFinite`] at the first loss that is NaN or infinite, [`Error::WeightNotFinite`] for such a weight; the
/// last checkpoint stays. [`Error::Usage`] for options that make no sense, and what the model, the files and the
/// device report.
pub fn fit<'a>(task: Task<'a>, options: &'a Options, interrupt: &Interrupt) -> Result<Outcome> {
    check(options)?;
    let Task { model, parameters, optimizer, train, test } = task;
    let checkpoint = options.checkpoint.as_deref().map(Checkpoint::in_folder).transpose()?;
    let resumed = Rc::new(Cell::new(None));
    let images = ImageBatches::new(train, options.normalize).augmented(options.augment);
    let judged = ImageBatches::new(test, options.normalize);
    let mut trainer = Trainer::new(parameters, optimizer)
        .epochs(options.epochs)
        .batch_size(options.batch_size)
        .seed(options.seed)
        .shuffle(options.shuffle)
        .max_steps(options.max_steps)
        .interrupt(interrupt)
        .parallel(options.parallel.clone().unwrap_or_else(DataParallel::solo))
        .progress(options.progress)
        .line(line)
        .validate(&judged)
        .metric(Score::Accuracy);
    if let Some(schedule) = options.schedule {
        trainer = trainer.schedule(schedule);
    }
    if let Some(checkpoint) = checkpoint {
        let identity = Identity::new(options, train.len());
        trainer = trainer.callback(CheckpointFile::new(checkpoint, identity, options.resume, &resumed));
    }
    if let Some(path) = &options.metrics {
        trainer =
            trainer.logger(MetricsLogger { path: path.clone(), resumed: Rc::clone(&resumed), metrics: None });
    }
    let history = trainer.fit(&images, |Batch { x, y }, mode| -> Result<Output> {
        let logits = model.forward(x, mode)?;
        let output = Output::new(logits.cross_entropy(y, options.label_smoothing)?);
        Ok(if mode == Mode::Eval { output.judged(logits, y) } else { output })
    })?;
    Ok(Outcome {
        steps: history.steps,
        epochs: history.epochs.iter().map(report).collect(),
        interrupted: history.ended == Ended::Interrupted,
        memory: history.memory,
    })
}

/// Fails for options that make no sense.
fn check(options: &Options) -> Result<()> {
    if options.batch_size == 0 {
        return Err(Error::Usage("a batch size of 0: a batch needs at least one image".to_owned()));
    }
    if !(0.0..=1.0).contains(&options.label_smoothing) {
        let message = format!("a label smoothing of {}: it lies in 0..=1", options.label_smoothing);
        return Err(Error::Usage(message));
    }
    let schedule = options.schedule.iter().try_for_each(OneCycle::check);
    schedule.map_err(|error| Error::Usage(error.to_string()))?;
    if options.resume && options.checkpoint.is_none() {
        return Err(Error::Usage("resuming needs the folder of the checkpoint".to_owned()));
    }
    Ok(())
}

fn report(record: &EpochRecord) -> EpochReport {
    let figure = |name| record.get(name).unwrap_or(f64::NAN);
    EpochReport {
        epoch: record.epoch,
        train_loss: figure("train_loss"),
        test_accuracy: figure("val_accuracy"),
        seconds: figure("seconds"),
    }
}

/// What is printed of an epoch.
fn line(record: &EpochRecord, epochs: usize) -> String {
    let EpochReport { epoch, train_loss, test_accuracy, seconds } = report(record);
    let percent = 100.0 * test_accuracy;
    format!("epoch {epoch}/{epochs}  train loss {train_loss:.4}  test accuracy {percent:.2}%  {seconds:.1} s")
}

/// The metrics file as a logger.
struct MetricsLogger {
    path: PathBuf,
    resumed: Rc<Cell<Option<Position>>>,
    metrics: Option<MetricsFile>,
}

impl Logger for MetricsLogger {
    fn start(&mut self, _: u64) -> Result<()> {
        self.metrics = Some(MetricsFile::open(&self.path, self.resumed.take().as_ref())?);
        Ok(())
    }

    fn log(&mut self, step: u64, values: &[(&str, f64)]) -> Result<()> {
        let Some(metrics) = &mut self.metrics else { return Ok(()) };
        let owned = |(name, value): &(&str, f64)| ((*name).to_owned(), *value);
        let record = EpochRecord { step, figures: values.iter().map(owned).collect(), ..Default::default() };
        match record.get("epoch") {
            Some(epoch) => metrics.epoch(&EpochReport { epoch: epoch as usize, ..report(&record) }),
            None => metrics.step(step, record.get("loss").unwrap_or(f64::NAN) as f32),
        }
    }
}
