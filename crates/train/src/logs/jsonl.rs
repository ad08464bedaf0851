//! [`Jsonl`]: a log with one JSON object a line.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::lines::LineFile;
use crate::{Logger, Result};

/// Writes what a run logs as JSON, one object a line: `{"step":120,"loss":1.25,"lr":0.1}`.
///
/// Each line is written at once, so that a killed run leaves whole lines, and parses strictly: NaN and infinities are null. A
/// resumed run drops the lines of later steps than the one it goes on from, and what is no such line; an epoch's figures are there
/// once, also where it ends again. The path may be a pipe or a device such as `/dev/stdout`.
pub struct Jsonl {
    path: PathBuf,
    file: Option<LineFile>,
    /// The step of the last epoch whose figures an earlier run wrote.
    epoch_at: Option<u64>,
}

impl Jsonl {
    /// A log in this file. A new run replaces an older file with its first line.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), file: None, epoch_at: None }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A figure with as few digits as tell it from others: those of an f32 where it is one, and none behind the point of a whole
/// number.
pub(super) fn figure(value: f64) -> Option<String> {
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    if !value.is_finite() {
        return None;
    }
    Some(if value.fract() == 0.0 && value.abs() < WHOLE {
        format!("{value:.0}")
    } else if f64::from(value as f32) == value {
        format!("{:?}", value as f32)
    } else {
        format!("{value:?}")
    })
}

impl Logger for Jsonl {
    fn start(&mut self, step: u64) -> Result<()> {
        self.epoch_at = None;
        if step == 0 {
            self.file = Some(LineFile::create(&self.path)?);
            return Ok(());
        }
        let mut kept = String::new();
        for line in LineFile::old(&self.path)?.lines() {
            let value: Value = serde_json::from_str(line).unwrap_or_default();
            let Some(of) = value["step"].as_u64().filter(|&of| of <= step) else { continue };
            kept.push_str(&format!("{line}\n"));
            if value.get("epoch").is_some() {
                self.epoch_at = Some(of);
            }
        }
        self.file = Some(LineFile::replace(&self.path, &kept)?);
        Ok(())
    }

    fn log(&mut self, step: u64, values: &[(&str, f64)]) -> Result<()> {
        if self.epoch_at == Some(step) && values.iter().any(|(name, _)| *name == "epoch") {
            return Ok(());
        }
        let mut line = format!("{{\"step\":{step}");
        for (name, value) in values.iter().filter(|(name, _)| *name != "step") {
            let figure = figure(*value).unwrap_or_else(|| "null".to_owned());
            line.push_str(&format!(",{}:{figure}", Value::from(*name)));
        }
        line.push('}');
        match &mut self.file {
            Some(file) => file.line(&line),
            None => self.file.insert(LineFile::create(&self.path)?).line(&line),
        }
    }
}
