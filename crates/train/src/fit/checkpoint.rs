//! The checkpoint of [`fit`](crate::fit()): parameters, optimizer state and position of a run in one safetensors file.
//!
//! The file holds each parameter and buffer under its name and the optimizer's state as `optim.<name>.<parameter>`; the metadata
//! says where the run stood. PyTorch's safetensors reads it too.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use wgrad_nn::StateDict;

use super::Options;
use crate::trainer::{LOSS, Means, SCHEMA as TRAINER_SCHEMA};
use crate::{Callback, DataParallel, Error, Fit, Moment, Result, Saved};

const FILE: &str = "checkpoint.safetensors";
const SCHEMA: &str = "4";
/// Schemas that can be read: the third lacks the steps of each parameter, which then are those of the optimizer.
const READABLE_SCHEMAS: [&str; 2] = ["3", SCHEMA];
/// What the optimizer's metadata are called in front of their own names.
const OPTIMIZER: &str = "wgrad.optimizer_";

/// Where a run stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// Steps made.
    pub step: u64,
    /// Epochs completed.
    pub epoch: usize,
    /// Images of the current epoch already seen.
    pub images: usize,
    /// Sum of the losses of those images.
    pub loss_sum: f64,
}

/// What must be equal for a run to continue another: the order of the images, what happens to them and the learning
/// rates follow from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub seed: u64,
    pub batch_size: usize,
    pub shuffle: bool,
    pub images: usize,
    /// In words; none where images stay as they are.
    pub augment: String,
    /// In words; none where the learning rate is the optimizer's.
    pub schedule: String,
    /// In words; none of a single rank.
    pub ranks: String,
}

impl Identity {
    /// Of a run with these options on so many images.
    pub(crate) fn new(options: &Options, images: usize) -> Self {
        let &Options { seed, batch_size, shuffle, .. } = options;
        let augment = options.augment.map(|augment| augment.to_string()).unwrap_or_default();
        let schedule = options.schedule.map(|schedule| schedule.to_string()).unwrap_or_default();
        let ranks = options.parallel.as_ref().and_then(DataParallel::describe).unwrap_or_default();
        Self { seed, batch_size, shuffle, images, augment, schedule, ranks }
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seed, batch_size, shuffle, images, augment, schedule, ranks } = self;
        let order = if *shuffle { "shuffled" } else { "in their own order" };
        write!(f, "seed {seed}, batch size {batch_size}, {images} images {order}")?;
        [augment, schedule, ranks]
            .into_iter()
            .filter(|words| !words.is_empty())
            .try_for_each(|words| write!(f, ", {words}"))
    }
}

/// The checkpoint file of a folder.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    path: PathBuf,
}

impl Checkpoint {
    /// In `folder`, which is made if it does not exist.
    ///
    /// # Errors
    /// [`Error::Model`] if the folder cannot be written.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let made = std::fs::create_dir_all(folder);
        made.map_err(|source| wgrad_nn::Error::Write { path: path.clone(), source })?;
        wgrad_nn::file::check_writable(&path)?;
        Ok(Self { path })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What to say of the file when a run stops because of its numbers.
    pub(crate) fn kept(&self) -> String {
        if !self.path.exists() {
            return String::new();
        }
        format!("; the checkpoint {} is from before", self.path.display())
    }

    fn error(&self, message: impl Into<String>) -> Error {
        Error::Checkpoint { path: self.path.clone(), message: message.into() }
    }

    /// Writes the state of a trainer, whole or not at all.
    fn save(&self, state: &StateDict, position: &Position, identity: &Identity) -> Result<()> {
        let kept = |key: &&String| key.starts_with(OPTIMIZER) || *key == "wgrad.draws";
        let metadata = state.metadata.keys().filter(kept);
        let mut own = StateDict {
            tensors: state.tensors.clone(),
            integers: state.integers.clone(),
            metadata: metadata.map(|key| (key.clone(), state.metadata[key].clone())).collect(),
        };
        let entries = [
            ("wgrad.schema", SCHEMA.to_owned()),
            ("wgrad.step", position.step.to_string()),
            ("wgrad.epoch", position.epoch.to_string()),
            ("wgrad.images", position.images.to_string()),
            ("wgrad.loss_sum", format!("{:016x}", position.loss_sum.to_bits())),
            ("wgrad.seed", identity.seed.to_string()),
            ("wgrad.batch_size", identity.batch_size.to_string()),
            ("wgrad.shuffle", identity.shuffle.to_string()),
            ("wgrad.data_images", identity.images.to_string()),
            ("wgrad.augment", identity.augment.clone()),
            ("wgrad.schedule", identity.schedule.clone()),
        ];
        own.metadata.extend(entries.map(|(key, value)| (key.to_owned(), value)));
        if !identity.ranks.is_empty() {
            own.metadata.insert("wgrad.ranks".to_owned(), identity.ranks.clone());
        }
        Ok(own.save(&self.path)?)
    }

    /// The run's state as a trainer's, and where it stood; `None` if there is no checkpoint yet.
    fn load(&self, identity: &Identity) -> Result<Option<(StateDict, Position)>> {
        if !self.path.exists() {
            return Ok(None);
        }
        let mut state = StateDict::load(&self.path)?;
        let schema = self.value::<String>(&state, "schema")?;
        if !READABLE_SCHEMAS.contains(&schema.as_str()) {
            return Err(self.error(format!(
                "a checkpoint of version {schema}, and this wgrad reads {READABLE_SCHEMAS:?}: continue with the wgrad that wrote it"
            )));
        }
        let found = Identity {
            seed: self.value(&state, "seed")?,
            batch_size: self.value(&state, "batch_size")?,
            shuffle: self.value(&state, "shuffle")?,
            images: self.value(&state, "data_images")?,
            augment: self.value(&state, "augment")?,
            schedule: self.value(&state, "schedule")?,
            ranks: state.metadata.get("wgrad.ranks").cloned().unwrap_or_default(),
        };
        if found != *identity {
            let message = format!("belongs to another run, of {found}; this one is of {identity}");
            return Err(self.error(message));
        }
        let position = self.position(&state)?;
        if position.images >= identity.images {
            return Err(
                self.error(format!("wgrad.images is {}, more than the data set has", position.images))
            );
        }
        self.value::<u64>(&state, "optimizer_steps")?;
        let mut means = Means::default();
        if position.images > 0 {
            means.add_sum(LOSS, position.loss_sum, position.images as f64);
        }
        let entries = [
            ("wgrad.schema", TRAINER_SCHEMA.to_owned()),
            ("wgrad.rows", position.images.to_string()),
            ("wgrad.skipped", "0".to_owned()),
            ("wgrad.means", means.to_text()),
            ("wgrad.schedule_state", String::new()),
            ("wgrad.history", "[]".to_owned()),
        ];
        state.metadata.extend(entries.map(|(key, value)| (key.to_owned(), value)));
        Ok(Some((state, position)))
    }

    fn position(&self, state: &StateDict) -> Result<Position> {
        let sum = self.value::<String>(state, "loss_sum")?;
        let sum = u64::from_str_radix(&sum, 16).map_err(|_| self.error("wgrad.loss_sum is no number"))?;
        Ok(Position {
            step: self.value(state, "step")?,
            epoch: self.value(state, "epoch")?,
            images: self.value(state, "images")?,
            loss_sum: f64::from_bits(sum),
        })
    }

    fn value<T: std::str::FromStr>(&self, state: &StateDict, name: &str) -> Result<T> {
        let text = state.metadata.get(&format!("wgrad.{name}"));
        let text =
            text.ok_or_else(|| self.error(format!("no wgrad checkpoint: its metadata lack wgrad.{name}")))?;
        text.parse().map_err(|_| self.error(format!("wgrad.{name} is {text:?}, which makes no sense")))
    }
}

/// The checkpoint as a trainer's callback: after each epoch, and where a run ends within one.
pub(crate) struct CheckpointFile {
    checkpoint: Checkpoint,
    identity: Identity,
    resume: bool,
    /// Where a resumed run stands.
    resumed: Rc<Cell<Option<Position>>>,
}

impl CheckpointFile {
    pub(crate) fn new(
        checkpoint: Checkpoint,
        identity: Identity,
        resume: bool,
        resumed: &Rc<Cell<Option<Position>>>,
    ) -> Self {
        Self { checkpoint, identity, resume, resumed: Rc::clone(resumed) }
    }
}

impl Callback for CheckpointFile {
    fn name(&self) -> &str {
        "checkpoint"
    }

    fn resume(&mut self, _: &mut Fit) -> Result<Option<Saved>> {
        if !self.resume {
            return Ok(None);
        }
        let Some((state, position)) = self.checkpoint.load(&self.identity)? else { return Ok(None) };
        self.resumed.set(Some(position));
        Ok(Some(Saved { state, file: self.checkpoint.path.display().to_string(), is_checked: true }))
    }

    fn wants_checkpoint(&mut self, fit: &Fit, moment: Moment) -> bool {
        match moment {
            Moment::Step => false,
            Moment::Epoch => true,
            Moment::End => fit.rows() > 0,
        }
    }

    fn on_checkpoint(&mut self, fit: &mut Fit, state: &StateDict) -> Result<()> {
        let (step, epoch, images) = (fit.step(), fit.epoch(), fit.rows());
        let position = Position { step, epoch, images, loss_sum: fit.place.means.sum(LOSS) };
        self.checkpoint.save(state, &position, &self.identity)
    }

    fn kept(&self) -> String {
        self.checkpoint.kept()
    }
}
