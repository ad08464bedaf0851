//! Checkpoints: parameters, optimizer state and position of a run in one safetensors file.
//!
//! The file holds each parameter and buffer under its name and the optimizer's state as `optim.<name>.<parameter>`; the metadata
//! says where the run stood. PyTorch's safetensors reads it too.

use std::path::{Path, PathBuf};

use wgrad_nn::{Load, Optimizer, Parameters, StateDict};

use crate::{Error, Result};

const FILE: &str = "checkpoint.safetensors";
const SCHEMA: &str = "4";
/// Schemas that can be read: the third lacks the steps of each parameter, which then are those of the optimizer.
const READ: [&str; 2] = ["3", SCHEMA];
/// What the optimizer's tensors and metadata are called in front of their own names.
const OPTIMIZER: [&str; 2] = ["optim.", "wgrad.optimizer_"];

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
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seed, batch_size, shuffle, images, augment, schedule } = self;
        let order = if *shuffle { "shuffled" } else { "in their own order" };
        write!(f, "seed {seed}, batch size {batch_size}, {images} images {order}")?;
        [augment, schedule]
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

    /// Writes the run's state, whole or not at all. A state with a value that is no number is not written.
    pub(crate) fn save(
        &self,
        parameters: &Parameters,
        optimizer: &dyn Optimizer,
        position: &Position,
        identity: &Identity,
    ) -> Result<()> {
        let mut state = parameters.state_dict()?;
        let (own, [tensors, metadata]) = (optimizer.state().to_state_dict()?, OPTIMIZER);
        state.tensors.extend(own.tensors.into_iter().map(|(key, v)| (format!("{tensors}{key}"), v)));
        state.metadata.extend(own.metadata.into_iter().map(|(key, v)| (format!("{metadata}{key}"), v)));
        if state.tensors.values().any(|(_, values)| values.iter().any(|v| !v.is_finite())) {
            return Err(Error::WeightNotFinite { step: position.step, kept: self.kept() });
        }
        let entries = [
            ("wgrad.schema", SCHEMA.to_owned()),
            ("wgrad.step", position.step.to_string()),
            ("wgrad.epoch", position.epoch.to_string()),
            ("wgrad.images", position.images.to_string()),
            ("wgrad.loss_sum", format!("{:016x}", position.loss_sum.to_bits())),
            ("wgrad.draws", parameters.draws().to_string()),
            ("wgrad.seed", identity.seed.to_string()),
            ("wgrad.batch_size", identity.batch_size.to_string()),
            ("wgrad.shuffle", identity.shuffle.to_string()),
            ("wgrad.data_images", identity.images.to_string()),
            ("wgrad.augment", identity.augment.clone()),
            ("wgrad.schedule", identity.schedule.clone()),
        ];
        state.metadata.extend(entries.map(|(key, value)| (key.to_owned(), value)));
        Ok(state.save(&self.path)?)
    }

    /// Loads the run's state; `None` if there is no checkpoint yet. Nothing is changed unless all of it fits.
    pub(crate) fn load(
        &self,
        parameters: &Parameters,
        optimizer: &mut dyn Optimizer,
        identity: &Identity,
    ) -> Result<Option<Position>> {
        if !self.path.exists() {
            return Ok(None);
        }
        let mut state = StateDict::load(&self.path)?;
        let schema = self.value::<String>(&state, "schema")?;
        if !READ.contains(&schema.as_str()) {
            return Err(self.error(format!(
                "a checkpoint of version {schema}, and this wgrad reads {READ:?}: continue with the wgrad that wrote it"
            )));
        }
        let found = Identity {
            seed: self.value(&state, "seed")?,
            batch_size: self.value(&state, "batch_size")?,
            shuffle: self.value(&state, "shuffle")?,
            images: self.value(&state, "data_images")?,
            augment: self.value(&state, "augment")?,
            schedule: self.value(&state, "schedule")?,
        };
        if found != *identity {
            let message = format!("belongs to another run, of {found}; this one is of {identity}");
            return Err(self.error(message));
        }
        let sum = self.value::<String>(&state, "loss_sum")?;
        let sum = u64::from_str_radix(&sum, 16).map_err(|_| self.error("wgrad.loss_sum is no number"))?;
        let position = Position {
            step: self.value(&state, "step")?,
            epoch: self.value(&state, "epoch")?,
            images: self.value(&state, "images")?,
            loss_sum: f64::from_bits(sum),
        };
        if position.images >= identity.images {
            return Err(
                self.error(format!("wgrad.images is {}, more than the data set has", position.images))
            );
        }
        let draws = self.value(&state, "draws")?;
        self.value::<u64>(&state, "optimizer_steps")?;
        let file = self.path.display().to_string();
        check(&state, parameters, optimizer, &file)?;
        let own = part(&mut state, OPTIMIZER);
        optimizer.state_mut().load_state_dict(&own, &file)?;
        parameters.load_state_dict(&state, &file)?;
        parameters.set_draws(draws);
        Ok(Some(position))
    }

    fn value<T: std::str::FromStr>(&self, state: &StateDict, name: &str) -> Result<T> {
        let text = state.metadata.get(&format!("wgrad.{name}"));
        let text =
            text.ok_or_else(|| self.error(format!("no wgrad checkpoint: its metadata lack wgrad.{name}")))?;
        text.parse().map_err(|_| self.error(format!("wgrad.{name} is {text:?}, which makes no sense")))
    }
}

/// Checks that `state` holds the parameters, the buffers and the optimizer's state, and nothing else.
fn check(
    state: &StateDict,
    parameters: &Parameters,
    optimizer: &dyn Optimizer,
    file: &str,
) -> wgrad_nn::Result<()> {
    let own: Vec<_> =
        optimizer.state().shapes().map(|(key, shape)| (format!("{}{key}", OPTIMIZER[0]), shape)).collect();
    let own = own.iter().map(|(key, shape)| (key.as_str(), *shape));
    Load::strict().named(file).check(parameters.shapes().chain(own), state).map(drop)
}

/// Takes the optimizer's part out of a checkpoint, under its own names.
fn part(state: &mut StateDict, [tensors, metadata]: [&str; 2]) -> StateDict {
    let mut own = StateDict::default();
    for (key, values) in std::mem::take(&mut state.tensors) {
        match key.strip_prefix(tensors) {
            Some(name) => own.tensors.insert(name.to_owned(), values),
            None => state.tensors.insert(key, values),
        };
    }
    let entries = state.metadata.iter().filter_map(|(key, text)| Some((key.strip_prefix(metadata)?, text)));
    own.metadata.extend(entries.map(|(key, text)| (key.to_owned(), text.clone())));
    own
}
