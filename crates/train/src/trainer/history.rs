//! [`History`]: the figures of each epoch, a value to keep.

use std::path::Path;

use serde_json::{Value, json};

use crate::metrics::ConfusionMatrix;
use crate::{Result, StepMemory};

/// What a fit did: the figures of its epochs, and how it ended.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct History {
    /// The epochs in order, those before a resumption included.
    pub epochs: Vec<EpochRecord>,
    /// Optimizer steps made.
    pub steps: u64,
    /// Steps that were skipped because a loss or a gradient was not finite.
    pub skipped: u64,
    /// What ended it.
    pub ended: Ended,
    /// What callbacks had to say, in order.
    pub messages: Vec<String>,
    /// The epoch whose weights a callback put back into the model at the end, counted from 1.
    pub restored: Option<usize>,
    /// What a step takes on the device, measured in the first steps.
    pub memory: StepMemory,
}

/// What ended a fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ended {
    /// All epochs are done.
    #[default]
    Epochs,
    /// The most steps that were asked for are made.
    MaxSteps,
    /// Somebody interrupted it.
    Interrupted,
    /// A callback asked for it, for this reason.
    Stopped(String),
}

/// The figures of an epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EpochRecord {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// Steps made at its end.
    pub step: u64,
    /// Names and values in order: `train_loss`, `val_loss`, metrics as `val_<name>`, `lr`, `seconds`.
    pub figures: Vec<(String, f64)>,
    /// How often validation rows of one class were taken for another, where
    /// [`Trainer::confusion`](crate::Trainer::confusion) asks for it.
    pub confusion: Option<ConfusionMatrix>,
}

impl EpochRecord {
    /// The figure of this name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// The names of the figures.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.figures.iter().map(|(name, _)| name.as_str())
    }
}

impl History {
    /// The figure `name` of each epoch that has it.
    pub fn column(&self, name: &str) -> Vec<f64> {
        self.epochs.iter().filter_map(|record| record.get(name)).collect()
    }

    /// The figure `name` of the last epoch.
    pub fn last(&self, name: &str) -> Option<f64> {
        self.epochs.last()?.get(name)
    }

    /// The epoch whose weights the model has at the end, and with them its figures: that whose weights were put back, or else the
    /// last one that was completed. A fit that ended within an epoch and put nothing back has the weights of later steps.
    pub fn kept(&self) -> Option<&EpochRecord> {
        match self.restored {
            Some(epoch) => self.epochs.iter().find(|record| record.epoch == epoch),
            None => self.epochs.last(),
        }
    }

    /// The epoch with the largest value of the figure `name`; the first of equal ones. NaN is never it.
    pub fn highest(&self, name: &str) -> Option<&EpochRecord> {
        self.best_by(name, |value, best| value > best)
    }

    /// The epoch with the smallest value of the figure `name`; the first of equal ones. NaN is never it.
    pub fn lowest(&self, name: &str) -> Option<&EpochRecord> {
        self.best_by(name, |value, best| value < best)
    }

    fn best_by(&self, name: &str, better: impl Fn(f64, f64) -> bool) -> Option<&EpochRecord> {
        let mut best: Option<(&EpochRecord, f64)> = None;
        for record in &self.epochs {
            match record.get(name) {
                Some(value) if !value.is_nan() && best.is_none_or(|(_, known)| better(value, known)) => {
                    best = Some((record, value));
                }
                _ => {}
            }
        }
        best.map(|(record, _)| record)
    }

    /// The history as JSON: an array of epochs with their figures in order, and `val_confusion`, a confusion matrix by rows, where there
    /// is one; beside it `restored`, null where no weights were put back. Values that are not finite are null.
    pub fn to_json(&self) -> String {
        let epoch = |record: &EpochRecord| {
            let figures = record.figures.iter().map(|(name, value)| (name.as_str(), Value::from(*value)));
            let all =
                [("epoch", record.epoch.into()), ("step", record.step.into())].into_iter().chain(figures);
            // Keys in the order of the figures, which a JSON map would sort.
            let confusion = record.confusion.as_ref().map(|matrix| ("val_confusion", rows(matrix)));
            let all: Vec<String> =
                all.chain(confusion).map(|(name, value)| format!("{}:{value}", Value::from(name))).collect();
            format!("    {{{}}}", all.join(","))
        };
        let epochs: Vec<String> = self.epochs.iter().map(epoch).collect();
        let ended = match &self.ended {
            Ended::Epochs => "epochs",
            Ended::MaxSteps => "max steps",
            Ended::Interrupted => "interrupted",
            Ended::Stopped(reason) => reason,
        };
        format!(
            "{{\n  \"steps\":{},\n  \"skipped\":{},\n  \"ended\":{},\n  \"restored\":{},\n  \"epochs\":[\n{}\n  ]\n}}\n",
            self.steps,
            self.skipped,
            Value::from(ended),
            Value::from(self.restored),
            epochs.join(",\n"),
        )
    }

    /// Writes [`History::to_json`] into a file, whole or not at all.
    ///
    /// # Errors
    /// [`crate::Error::Model`] for a file that cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        Ok(wgrad_nn::file::write_atomic(path.as_ref(), self.to_json().as_bytes())?)
    }

    /// The epochs, to the bit.
    pub(crate) fn to_text(&self) -> String {
        let figure = |(name, value): &(String, f64)| json!([name, format!("{:016x}", value.to_bits())]);
        let epoch = |record: &EpochRecord| {
            let figures: Vec<_> = record.figures.iter().map(figure).collect();
            json!([record.epoch, record.step, figures, record.confusion.as_ref().map(rows)])
        };
        Value::from(self.epochs.iter().map(epoch).collect::<Vec<_>>()).to_string()
    }

    /// The epochs that [`History::to_text`] wrote.
    pub(crate) fn epochs_from_text(text: &str) -> Option<Vec<EpochRecord>> {
        let figure = |value: &Value| {
            let bits = u64::from_str_radix(value.get(1)?.as_str()?, 16).ok()?;
            Some((value.get(0)?.as_str()?.to_owned(), f64::from_bits(bits)))
        };
        let epoch = |value: &Value| {
            let figures = value.get(2)?.as_array()?.iter().map(figure).collect::<Option<_>>()?;
            let epoch = usize::try_from(value.get(0)?.as_u64()?).ok()?;
            let confusion = match value.get(3) {
                None | Some(Value::Null) => None,
                Some(rows) => Some(matrix(rows)?),
            };
            Some(EpochRecord { epoch, step: value.get(1)?.as_u64()?, figures, confusion })
        };
        serde_json::from_str::<Value>(text).ok()?.as_array()?.iter().map(epoch).collect()
    }
}

/// The counts of a matrix, row by row.
fn rows(matrix: &ConfusionMatrix) -> Value {
    matrix.rows().map(Value::from).collect::<Vec<_>>().into()
}

/// The matrix whose rows these are.
fn matrix(rows: &Value) -> Option<ConfusionMatrix> {
    let rows = rows.as_array()?;
    let counts = rows.iter().map(|row| row.as_array()?.iter().map(Value::as_u64).collect::<Option<Vec<_>>>());
    ConfusionMatrix::new(rows.len(), counts.collect::<Option<Vec<_>>>()?.concat()).ok()
}
