//! What a model is trained on and judged by, read from wherever the configuration says.

pub(crate) mod images;
mod pictures;
mod table;
mod tensors;

use std::path::Path;

use wgrad::data::split::{Rows, stratified_k_fold, stratified_split};
use wgrad::data::table::{Encoded, Schema};
use wgrad::data::tensors::Tensors;
use wgrad::data::{Kind, detect, synthetic};

pub(crate) use pictures::Pictures;
pub(crate) use table::{judged as judged_rows, left_out, read as read_table};

use crate::config::{Config, Generator};
use crate::{Error, Result, TensorSchema, generate};

/// The share of the rows that is kept for validation where the configuration doesn't say.
const VALIDATION: f64 = 0.2;

/// Data in two parts.
pub(crate) enum Dataset {
    /// Labelled images.
    Images {
        train: Pictures,
        valid: Pictures,
        /// Whether batches come from the host while the device works, since it is not to hold all images.
        streamed: bool,
        /// A line about them.
        about: String,
    },
    /// Rows of a table.
    Table {
        schema: Schema,
        train: Encoded,
        valid: Encoded,
        /// A line about them.
        about: String,
    },
    /// Inputs and targets of a safetensors file, scaled.
    Tensors {
        schema: TensorSchema,
        train: Tensors,
        valid: Tensors,
        /// A line about them.
        about: String,
    },
}

impl Dataset {
    /// The data that the configuration names, for one of so many ranks of this machine.
    pub(crate) fn load(config: &Config, ranks: usize) -> Result<Self> {
        let memory = images::memory(config.memory, ranks);
        let share = config.validation.unwrap_or(VALIDATION);
        if !(share > 0.0 && share < 1.0) {
            return Err(Error::usage(format!("validation = {share}: a share of the rows, between 0 and 1")));
        }
        match (config.folds, config.fold) {
            (Some(_), _) if config.validation.is_some() => {
                return Err(Error::usage("folds and validation: give one of them"));
            }
            (None, Some(_)) => return Err(Error::usage("fold is for folds: set that too")),
            _ => {}
        }
        match (&config.data, config.generate) {
            (Some(path), None) => match detect(path)? {
                Kind::Table => table::load(path, config),
                kind => match (&config.target, kind) {
                    (None, Kind::Safetensors) => tensors::load(path, config),
                    (None, _) => images::load(path, kind, config, memory),
                    (Some(target), kind) => {
                        let message = match kind {
                            Kind::Safetensors => "tensors have their targets in y, and no target column",
                            _ => "images have their classes by folders or labels, and no target column",
                        };
                        Err(Error::usage(format!("--target {target}: {message}")))
                    }
                },
            },
            (None, Some(generator)) => generated(generator, config, memory),
            (Some(_), Some(_)) => Err(Error::usage("data and generate: give one of them")),
            (None, None) => {
                Err(Error::usage("there is no data: --data names a folder, a CSV file or a safetensors file"))
            }
        }
    }

    /// The shape of a sample.
    pub(crate) fn shape(&self) -> Vec<usize> {
        match self {
            Self::Images { train, .. } => train.shape().to_vec(),
            Self::Table { schema, .. } => vec![schema.features()],
            Self::Tensors { schema, .. } => schema.shape.clone(),
        }
    }

    /// Rows to train on.
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Images { train, .. } => train.len(),
            Self::Table { train, .. } => train.rows.len(),
            Self::Tensors { train, .. } => train.len(),
        }
    }

    /// The classes' names; none where a number is predicted.
    pub(crate) fn classes(&self) -> &[String] {
        match self {
            Self::Images { train, .. } => train.classes(),
            Self::Table { schema, .. } => schema.classes(),
            Self::Tensors { schema, .. } => schema.classes(),
        }
    }

    /// Numbers that come out of a model: one for each class, or for each number of a target.
    pub(crate) fn outputs(&self) -> usize {
        match self {
            Self::Tensors { schema, .. } if schema.numbers() > 0 => schema.numbers(),
            _ => self.classes().len().max(1),
        }
    }

    /// A line about the data.
    pub(crate) fn about(&self) -> &str {
        match self {
            Self::Images { about, .. } | Self::Table { about, .. } | Self::Tensors { about, .. } => about,
        }
    }
}

/// Refuses to divide data that has a part of its own to validate.
fn no_folds(config: &Config) -> Result<()> {
    match config.folds {
        Some(_) => Err(Error::usage("folds: the data has a part of its own to validate, and is not divided")),
        None => Ok(()),
    }
}

/// Rows to train on and rows to validate, of each class alike.
fn parts<L: Ord>(path: &Path, labels: &[L], config: &Config) -> Result<Rows> {
    if let Some(folds) = config.folds {
        let fold = config.fold.unwrap_or(1);
        let divided = stratified_k_fold(labels, folds, config.seed.unwrap_or(0));
        let message =
            |_| format!("folds = {folds} of {} rows: at least two, and a row for each", labels.len());
        let rows = divided.map_err(message).map_err(Error::usage)?.into_iter().nth(fold.wrapping_sub(1));
        return rows.ok_or_else(|| Error::usage(format!("fold = {fold}: 1 to {folds}")));
    }
    let (share, seed) = (config.validation.unwrap_or(VALIDATION), config.seed.unwrap_or(0));
    let rows = labels.len();
    let message = || {
        format!(
            "validation = {share} of {rows} rows leaves a part without any: give more rows, or another share"
        )
    };
    stratified_split(labels, share, seed).map_err(|_| Error::file(path, message()))
}

/// Whether the path is that of a table.
pub(crate) fn is_table(path: &Path) -> bool {
    ends_with(path, &["csv", "tsv"])
}

/// Refuses files that a model of tables does not take, by their names. That a file is not there is found by reading it.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn check_table(path: &Path) -> Result<()> {
    match is_table(path) || !path.exists() {
        true => Ok(()),
        false => Err(Error::file(path, "no table: the model takes rows of .csv files")),
    }
}

/// As [`check_table`], for a model of tensors.
pub(crate) fn check_tensors(path: &Path) -> Result<()> {
    match ends_with(path, &["safetensors"]) || !path.exists() {
        true => Ok(()),
        false => Err(Error::file(path, "no tensors: the model takes rows of .safetensors files")),
    }
}

fn ends_with(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| endings.iter().any(|known| ending == *known)) && !path.is_dir()
}

fn generated(generator: Generator, config: &Config, memory: u64) -> Result<Dataset> {
    no_folds(config)?;
    let (samples, tests) = (config.samples.unwrap_or(1000), config.test_samples.unwrap_or(200));
    if samples == 0 || tests == 0 || samples.saturating_add(tests) > 1_000_000 {
        let message = format!(
            "samples = {samples}, test_samples = {tests}: each is 1 or more, and a million in all at most"
        );
        return Err(Error::usage(message));
    }
    let seed = config.seed.unwrap_or(0);
    if let Some(text) = generate::table(generator, samples + tests, seed) {
        return table::generated(&text, samples, config);
    }
    let split = synthetic::split(samples, tests, seed);
    let (train, valid) = match generator {
        Generator::Digits => (split.train.to_grey_28()?, split.test.to_grey_28()?),
        _ => (split.train, split.test),
    };
    let about = format!("{samples} drawn figures to train on, {tests} to validate; --data takes your own");
    images::dataset(train.into(), valid.into(), about, memory)
}
