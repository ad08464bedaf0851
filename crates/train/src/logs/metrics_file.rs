//! The metrics file of [`fit`](crate::fit): one JSON object a line.

use std::path::Path;

use serde_json::Value;

use super::lines::LineFile;
use crate::{EpochReport, Position, Result};

pub(crate) struct MetricsFile(LineFile);

impl MetricsFile {
    /// A new file, or for a resumed run the old one without what came after `resumed`.
    pub(crate) fn open(path: &Path, resumed: Option<&Position>) -> Result<Self> {
        let Some(position) = resumed else { return LineFile::create(path).map(Self) };
        LineFile::replace(path, &before(&LineFile::old(path)?, position)).map(Self)
    }

    pub(crate) fn step(&mut self, step: u64, loss: f32) -> Result<()> {
        // JSON has no NaN; a loss that is none is written as null.
        self.0.line(&format!(r#"{{"step":{step},"loss":{}}}"#, Value::from(loss)))
    }

    pub(crate) fn epoch(&mut self, report: &EpochReport) -> Result<()> {
        let EpochReport { epoch, train_loss, test_accuracy, seconds } = report;
        // Keys in the order of the documentation, which a JSON map would sort.
        self.0.line(&format!(
            r#"{{"epoch":{epoch},"train_loss":{},"test_accuracy":{},"seconds":{}}}"#,
            Value::from(*train_loss),
            Value::from(*test_accuracy),
            Value::from(*seconds),
        ))
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
