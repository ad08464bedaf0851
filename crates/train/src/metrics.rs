//! The metrics file: one JSON object a line.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::checkpoint::Position;
use crate::fit::EpochReport;
use crate::{Error, Result};

pub(crate) struct Metrics {
    path: PathBuf,
    file: File,
}

impl Metrics {
    /// A new file, or for a resumed run the old one without what came after `resumed`.
    pub(crate) fn open(path: &Path, resumed: Option<&Position>) -> Result<Self> {
        let failed = |source| Error::Metrics { path: path.to_owned(), source };
        let kept = match resumed {
            Some(position) => match std::fs::read_to_string(path) {
                Ok(text) => before(&text, position),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
                Err(error) => return Err(failed(error)),
            },
            None => String::new(),
        };
        wgrad_nn::file::write_atomic(path, kept.as_bytes())?;
        let file = OpenOptions::new().append(true).open(path).map_err(failed)?;
        Ok(Self { path: path.to_owned(), file })
    }

    fn line(&mut self, value: &Value) -> Result<()> {
        // One write a line, so that a killed run leaves whole lines.
        let line = format!("{value}\n");
        self.file
            .write_all(line.as_bytes())
            .map_err(|source| Error::Metrics { path: self.path.clone(), source })
    }

    pub(crate) fn step(&mut self, step: u64, loss: f32) -> Result<()> {
        // JSON has no NaN; a loss that is none is written as null.
        self.line(&json!({ "step": step, "loss": loss }))
    }

    pub(crate) fn epoch(&mut self, report: &EpochReport) -> Result<()> {
        self.line(&json!({
            "epoch": report.epoch,
            "train_loss": report.train_loss,
            "test_accuracy": report.test_accuracy,
            "seconds": report.seconds,
        }))
    }
}

/// The lines that a run had written when it stood at `position`.
fn before(text: &str, position: &Position) -> String {
    let kept = text.lines().filter(|line| {
        let Ok(value) = serde_json::from_str::<Value>(line) else { return false };
        let step = value["step"].as_u64().is_some_and(|step| step <= position.step);
        let epoch = value["epoch"].as_u64().is_some_and(|epoch| epoch <= position.epoch as u64);
        step || epoch
    });
    kept.map(|line| format!("{line}\n")).collect()
}
