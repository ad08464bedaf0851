//! A model as one safetensors file: weights under PyTorch's names, and in the metadata all that using it takes.

use std::path::Path;

use serde::{Deserialize, Serialize};
use wgrad::Gpu;
use wgrad::data::table::Schema;
use wgrad::nn::{Load, Module, Parameters, StateDict};

use crate::architecture::Architecture;
use crate::config::Config;
use crate::recipe::check_own_loss;
use crate::{Error, Result, TensorSchema};

/// The version of the metadata that this module writes and reads.
const FORMAT: &str = "1";
const FORMAT_KEY: &str = "wgrad.format";
const ARCHITECTURE_KEY: &str = "wgrad.architecture";
const DATA_KEY: &str = "wgrad.data";
const LOSS_KEY: &str = "wgrad.loss";

/// How data become what the model takes, and what the numbers that come out mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Preprocessing {
    /// Images, as `(byte / 255 - mean) / std`.
    Images {
        /// Planes, rows and columns of an image; files of other sizes are brought to it.
        shape: [usize; 3],
        /// The mean of each plane, which is subtracted.
        mean: Vec<f32>,
        /// The standard deviation of each, by which the difference is divided.
        std: Vec<f32>,
        /// The classes' names.
        classes: Vec<String>,
    },
    /// Rows of a table.
    Table {
        /// How columns become numbers, and numbers the target.
        schema: Schema,
    },
    /// Rows of tensors.
    Tensors {
        /// How they are scaled, and what is predicted.
        schema: TensorSchema,
    },
}

impl Preprocessing {
    /// The classes' names; none where values come out.
    pub fn classes(&self) -> &[String] {
        match self {
            Self::Images { classes, .. } => classes,
            Self::Table { schema } => schema.classes(),
            Self::Tensors { schema } => schema.classes(),
        }
    }
}

/// A model file's content.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFile {
    /// The kind of model and its sizes.
    pub architecture: Architecture,
    /// How data become what it takes, and what comes out.
    pub data: Preprocessing,
    /// The loss that it was trained by, which `wgrad eval` tells too: of a configuration, the keys that say it. Without them it is the
    /// usual one of such a model.
    pub loss: Config,
    /// Parameters and buffers under PyTorch's names. Its metadata is left out when the file is written.
    pub state: StateDict,
}

impl ModelFile {
    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let json = |value: Result<String, serde_json::Error>| {
            value.map_err(|error| Error::file(path, format!("cannot be written: {error}")))
        };
        let mut state = self.state.clone();
        state.metadata = [
            (FORMAT_KEY, FORMAT.to_owned()),
            (ARCHITECTURE_KEY, json(serde_json::to_string(&self.architecture))?),
            (DATA_KEY, json(serde_json::to_string(&self.data))?),
            (LOSS_KEY, self.loss.of_loss().to_toml()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
        Ok(state.save(path)?)
    }

    /// Reads a file. Nothing is built from it: sizes are bounded, and all parts have to fit together.
    ///
    /// # Errors
    /// [`Error::File`] and [`Error::Engine`] for a file that cannot be read, is no safetensors file, or none of a model.
    pub fn load(path: &Path) -> Result<Self> {
        let state = StateDict::load(path)?;
        Self::from_state(state).map_err(|message| Error::file(path, message))
    }

    /// The model of a safetensors file's bytes; `file` stands for them in errors.
    ///
    /// # Errors
    /// As [`ModelFile::load`].
    pub fn from_bytes(bytes: &[u8], file: &str) -> Result<Self> {
        let state = StateDict::from_bytes(bytes, file)?;
        Self::from_state(state).map_err(|message| Error::file(Path::new(file), message))
    }

    fn from_state(state: StateDict) -> Result<Self, String> {
        match state.metadata.get(FORMAT_KEY).map(String::as_str) {
            Some(FORMAT) => {}
            Some(other) => {
                let other: String = other.chars().take(20).collect();
                return Err(format!(
                    "a model of format {other:?}, and this wgrad reads {FORMAT}: use a newer wgrad"
                ));
            }
            None => {
                return Err("weights without an architecture, no model of `wgrad train`: \
                            `wgrad run PRESET --weights` takes it"
                    .to_owned());
            }
        }
        let loss = state.metadata.get(LOSS_KEY).map_or(Ok(Config::default()), |text| Config::parse(text));
        let loss = loss.map_err(|error| format!("{LOSS_KEY} in the metadata is damaged: {error}"))?.of_loss();
        let (architecture, data) = (part(&state, ARCHITECTURE_KEY)?, part(&state, DATA_KEY)?);
        let model = Self { architecture, data, loss, state };
        model.check()?;
        Ok(model)
    }

    /// Whether all parts fit together.
    fn check(&self) -> Result<(), String> {
        self.architecture.check()?;
        let loss = check_own_loss(&self.loss, self.data.classes().len(), &self.architecture);
        loss.map_err(|error| error.to_string())?;
        let summary = self.architecture.summary();
        let shapes = || summary.layers.iter().flat_map(|layer| layer.parameters.iter().chain(&layer.buffers));
        let expected = shapes().map(|(name, shape)| (name.as_str(), shape.as_slice()));
        let fits = Load::strict().named("the file").check(expected, &self.state);
        fits.map_err(|error| format!("{} ({error})", self.architecture))?;
        let bad = self.state.tensors.iter().find(|(_, (_, values))| values.iter().any(|v| !v.is_finite()));
        if let Some((name, _)) = bad {
            return Err(format!("{name} has a value that is NaN or infinite: train it again"));
        }
        self.check_data()
    }

    /// Whether the data's figures are those of the model.
    fn check_data(&self) -> Result<(), String> {
        let (takes, outputs) = (self.architecture.input(), self.architecture.outputs());
        match &self.data {
            Preprocessing::Images { shape, mean, std, .. } => {
                let fits = shape[..] == takes[..] || takes.len() == 1 && product(shape) == product(&takes);
                if !fits || ![1, 3].contains(&shape[0]) {
                    return Err(format!("images {shape:?} for a model that takes {takes:?}"));
                }
                let planes = [mean.len(), std.len()] == [shape[0]; 2];
                if !planes || !mean.iter().chain(std).all(|v| v.is_finite()) || std.iter().any(|v| *v <= 0.0)
                {
                    return Err(format!(
                        "means {mean:?} and deviations {std:?} do not scale {} planes",
                        shape[0]
                    ));
                }
            }
            Preprocessing::Table { schema } => {
                schema.to_json().map_err(|error| error.to_string())?;
                let (found, inputs) = (schema.features() as u128, product(&takes));
                if found != inputs {
                    return Err(format!("{found} features for a model of {inputs} inputs"));
                }
            }
            Preprocessing::Tensors { schema } => {
                schema.check()?;
                let shape = &schema.shape;
                if shape[..] != takes[..] && (takes.len() != 1 || product(shape) != product(&takes)) {
                    return Err(format!("rows {shape:?} for a model that takes {takes:?}"));
                }
            }
        }
        let classes = self.data.classes().len();
        let fits = match &self.data {
            Preprocessing::Table { schema } if !schema.is_classification() => outputs == 1,
            Preprocessing::Tensors { schema } if schema.numbers() > 0 => outputs == schema.numbers(),
            Preprocessing::Tensors { .. } if classes < 2 => false,
            _ => classes == outputs || classes == 2 && outputs == 1,
        };
        if fits { Ok(()) } else { Err(format!("{classes} class names for a model of {outputs} outputs")) }
    }

    /// The model on `gpu`, with the file's weights.
    ///
    /// # Errors
    /// What the device reports.
    pub fn build(&self, gpu: &Gpu) -> Result<(Box<dyn Module>, Parameters)> {
        let (model, parameters) = self.architecture.build(gpu, 0)?;
        parameters.load_state_dict(&self.state, "the model file")?;
        Ok((model, parameters))
    }
}

fn product(sizes: &[usize]) -> u128 {
    sizes.iter().fold(1, |product: u128, &size| product.saturating_mul(size as u128))
}

/// A part of the metadata, in JSON.
fn part<T: for<'a> Deserialize<'a>>(state: &StateDict, key: &str) -> Result<T, String> {
    let text =
        state.metadata.get(key).ok_or_else(|| format!("the metadata lacks {key}: the file is damaged"))?;
    serde_json::from_str(text).map_err(|error| format!("{key} in the metadata is damaged: {error}"))
}
