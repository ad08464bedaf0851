//! The metrics file: one JSON object a line.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::checkpoint::Position;
use crate::fit::EpochReport;
use crate::{Error, Result};

pub(crate) struct Metrics {
    path: PathBuf,
    /// Open from the first line on: a run that fails before it has one leaves an older file as it was.
    file: Option<File>,
}

impl Metrics {
    /// A new file, or for a resumed run the old one without what came after `resumed`.
    pub(crate) fn open(path: &Path, resumed: Option<&Position>) -> Result<Self> {
        let failed = |source| Error::Metrics { path: path.to_owned(), source };
        let metadata = std::fs::metadata(path);
        let file = if metadata.is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
            // A pipe or a device such as /dev/stdout holds no older lines and must not be replaced.
            Some(append(path)?)
        } else if let Some(position) = resumed {
            let kept = match std::fs::read_to_string(path) {
                Ok(text) => before(&text, position),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
                Err(error) => return Err(failed(error)),
            };
            wgrad_nn::file::write_atomic(path, kept.as_bytes())?;
            Some(append(path)?)
        } else {
            wgrad_nn::file::check_writable(path)?;
            None
        };
        Ok(Self { path: path.to_owned(), file })
    }

    fn line(&mut self, line: &str) -> Result<()> {
        // One write a line, so that a killed run leaves whole lines.
        let line = format!("{line}\n");
        let Some(file) = &mut self.file else {
            wgrad_nn::file::write_atomic(&self.path, line.as_bytes())?;
            self.file = Some(append(&self.path)?);
            return Ok(());
        };
        file.write_all(line.as_bytes()).map_err(|source| Error::Metrics { path: self.path.clone(), source })
    }

    pub(crate) fn step(&mut self, step: u64, loss: f32) -> Result<()> {
        // JSON has no NaN; a loss that is none is written as null.
        self.line(&format!(r#"{{"step":{step},"loss":{}}}"#, Value::from(loss)))
    }

    pub(crate) fn epoch(&mut self, report: &EpochReport) -> Result<()> {
        let EpochReport { epoch, train_loss, test_accuracy, seconds } = report;
        // Keys in the order of the documentation, which a JSON map would sort.
        self.line(&format!(
            r#"{{"epoch":{epoch},"train_loss":{},"test_accuracy":{},"seconds":{}}}"#,
            Value::from(*train_loss),
            Value::from(*test_accuracy),
            Value::from(*seconds),
        ))
    }
}

fn append(path: &Path) -> Result<File> {
    let file = OpenOptions::new().append(true).open(path);
    file.map_err(|source| Error::Metrics { path: path.to_owned(), source })
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
