//! The training loop.

use std::path::PathBuf;
use std::time::Instant;

use wgrad_autograd::Tensor;
use wgrad_data::{Augment, DeviceImages, Draw, Normalize};
use wgrad_nn::{Mode, Module, OneCycle, Optimizer, Parameters};

use crate::accuracy::accuracy;
use crate::checkpoint::{Checkpoint, Identity, Position};
use crate::logs::Metrics;
use crate::losses::{Losses, StepLoss};
use crate::memory::{Measuring, StepMemory};
use crate::progress::Progress;
use crate::{Error, Interrupt, Result};

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

/// Trains until the epochs or steps are done, or somebody interrupts.
///
/// # Errors
/// [`Error::NotFinite`] at the first loss that is NaN or infinite, [`Error::WeightNotFinite`] for such a weight; the
/// last checkpoint stays. [`Error::Usage`] for options that make no sense, and what the model, the files and the
/// device report.
pub fn fit<'a>(task: Task<'a>, options: &'a Options, interrupt: &Interrupt) -> Result<Outcome> {
    Run::new(task, options)?.run(interrupt)
}

struct Run<'a> {
    task: Task<'a>,
    options: &'a Options,
    position: Position,
    checkpoint: Option<Checkpoint>,
    identity: Identity,
    metrics: Option<Metrics>,
    losses: Losses<usize>,
    memory: StepMemory,
    /// Steps whose memory is still to be measured.
    to_measure: usize,
}

/// The pool holds what it needs by then.
const STEPS_MEASURED: usize = 3;

impl<'a> Run<'a> {
    fn new(task: Task<'a>, options: &'a Options) -> Result<Self> {
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
        let checkpoint = options.checkpoint.as_deref().map(Checkpoint::in_folder).transpose()?;
        let images = task.train.len();
        let (seed, batch_size, shuffle) = (options.seed, options.batch_size, options.shuffle);
        let augment = options.augment.map(|augment| augment.to_string()).unwrap_or_default();
        let schedule = options.schedule.map(|schedule| schedule.to_string()).unwrap_or_default();
        let identity = Identity { seed, batch_size, shuffle, images, augment, schedule };
        let resumed = match &checkpoint {
            Some(checkpoint) if options.resume => {
                checkpoint.load(task.parameters, &mut *task.optimizer, &identity)?
            }
            _ => None,
        };
        let open = |path: &PathBuf| Metrics::open(path, resumed.as_ref());
        let metrics = options.metrics.as_ref().map(open).transpose()?;
        let position = resumed.unwrap_or(Position { step: 0, epoch: 0, images: 0, loss_sum: 0.0 });
        Ok(Self {
            task,
            options,
            position,
            checkpoint,
            identity,
            metrics,
            losses: Losses::default(),
            memory: StepMemory::default(),
            to_measure: STEPS_MEASURED,
        })
    }

    fn run(mut self, interrupt: &Interrupt) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        while self.position.epoch < self.options.epochs && !self.out_of_steps() && !interrupt.is_set() {
            outcome.epochs.extend(self.epoch(interrupt)?);
        }
        self.task.parameters.gpu().submit()?;
        // The last step's loss is the one before its update. With a checkpoint, saving that has looked already.
        if self.checkpoint.is_none() && self.position.step > 0 {
            for weights in self.task.parameters.flats() {
                if weights.to_vec()?.iter().any(|weight| !weight.is_finite()) {
                    return Err(Error::WeightNotFinite { step: self.position.step, kept: String::new() });
                }
            }
        }
        outcome.interrupted = interrupt.is_set() && self.position.epoch < self.options.epochs;
        outcome.steps = self.position.step;
        outcome.memory = self.memory;
        Ok(outcome)
    }

    fn out_of_steps(&self) -> bool {
        self.options.max_steps.is_some_and(|most| self.position.step >= most)
    }

    /// One epoch, or what is left of it; `None` if it was cut short.
    fn epoch(&mut self, interrupt: &Interrupt) -> Result<Option<EpochReport>> {
        let total = self.task.train.len();
        if self.options.shuffle {
            self.task.train.shuffle(self.options.seed, self.position.epoch)?;
        } else {
            self.task.train.unshuffle()?;
        }
        let label = format!("epoch {}/{}", self.position.epoch + 1, self.options.epochs);
        let progress = Progress::new(self.options.progress, label, total, self.position.images);
        let start = Instant::now();
        while self.position.images < total && !self.out_of_steps() && !interrupt.is_set() {
            let images = self.step()?;
            progress.advance(images);
            while let Some(loss) = self.losses.overdue()? {
                self.arrived(loss, &progress)?;
            }
        }
        while let Some(loss) = self.losses.next()? {
            self.arrived(loss, &progress)?;
        }
        if self.position.images < total {
            progress.clear();
            self.save()?;
            return Ok(None);
        }
        let seconds = start.elapsed().as_secs_f64();
        let train_loss = self.position.loss_sum / total as f64;
        let (batch, normalize) = (self.options.batch_size, self.options.normalize);
        let test_accuracy = accuracy(self.task.model, self.task.test, batch, normalize)?;
        self.position.epoch += 1;
        self.position.images = 0;
        self.position.loss_sum = 0.0;
        let report = EpochReport { epoch: self.position.epoch, train_loss, test_accuracy, seconds };
        if let Some(metrics) = &mut self.metrics {
            metrics.epoch(&report)?;
        }
        self.save()?;
        progress.finish(&format!(
            "epoch {}/{}  train loss {train_loss:.4}  test accuracy {:.2}%  {seconds:.1} s",
            report.epoch,
            self.options.epochs,
            100.0 * test_accuracy,
        ));
        Ok(Some(report))
    }

    /// Records and submits one step; returns how many images it had.
    fn step(&mut self) -> Result<usize> {
        let Position { images: start, .. } = self.position;
        let rows = self.options.batch_size.min(self.task.train.len() - start);
        let Task { parameters, .. } = self.task;
        let mut measuring =
            (self.to_measure > 0).then(|| Measuring::start(parameters, &*self.task.optimizer));
        let (x, labels) = self.batch(start, rows)?;
        if let Some(schedule) = &self.options.schedule {
            self.task.optimizer.set_lr(schedule.lr(self.position.step));
        }
        let logits = self.task.model.forward(&x, Mode::Train).map_err(|source| self.failed(rows, source))?;
        let loss: Tensor = logits.cross_entropy(&labels, self.options.label_smoothing)?;
        drop(logits);
        if let Some(measuring) = &mut measuring {
            measuring.forward_done(parameters.gpu());
        }
        let gradients = parameters.gradients(&loss)?;
        self.task.optimizer.step(&gradients)?;
        self.position.step += 1;
        self.position.images += rows;
        self.losses.push(self.position.step, &loss, rows)?;
        parameters.gpu().submit()?;
        if let Some(measuring) = measuring {
            self.memory = measuring.step_done(parameters.gpu());
            self.to_measure -= 1;
        }
        Ok(rows)
    }

    /// What a forward pass met, and where it was the short last batch, that this may be the reason.
    fn failed(&self, rows: usize, source: wgrad_nn::Error) -> Error {
        use wgrad_autograd::Error::Shape;
        use wgrad_nn::Error::{Layer, Op};
        let does_not_fit = matches!(&source, Layer { source: Shape { .. }, .. } | Op(Shape { .. }));
        let (batch_size, images) = (self.options.batch_size, self.task.train.len());
        if !does_not_fit || rows == batch_size.min(images) {
            return source.into();
        }
        Error::LastBatch {
            epoch: self.position.epoch + 1,
            rows,
            batch_size,
            images,
            source: Box::new(source),
        }
    }

    fn batch(&self, start: usize, rows: usize) -> Result<(Tensor, Tensor)> {
        let (train, normalize) = (self.task.train, self.options.normalize);
        let Some(augment) = self.options.augment else { return Ok(train.batch(start, rows, normalize)?) };
        let draw = Draw { seed: self.options.seed, epoch: self.position.epoch };
        Ok(train.batch_augmented(start, rows, normalize, augment, draw)?)
    }

    fn arrived(&mut self, (arrived, images): (StepLoss, usize), progress: &Progress) -> Result<()> {
        let StepLoss { step, loss } = arrived;
        if let Some(metrics) = &mut self.metrics {
            metrics.step(step, loss)?;
        }
        if !loss.is_finite() {
            let kept = self.checkpoint.as_ref().map(Checkpoint::kept).unwrap_or_default();
            return Err(Error::NotFinite { step, loss, kept });
        }
        progress.loss(loss);
        self.position.loss_sum += f64::from(loss) * images as f64;
        Ok(())
    }

    fn save(&self) -> Result<()> {
        let Some(checkpoint) = &self.checkpoint else { return Ok(()) };
        checkpoint.save(self.task.parameters, &*self.task.optimizer, &self.position, &self.identity)
    }
}
