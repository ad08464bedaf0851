//! [`Folder`]: where the checkpoints of a run lie.

use std::path::PathBuf;

use wgrad_nn::StateDict;

use super::state::check_whole;
use crate::{Error, Result};

const PREFIX: &str = "checkpoint-";
const SUFFIX: &str = ".safetensors";

/// A folder with checkpoints, each named after the number of steps that had been made.
#[derive(Clone, Debug)]
pub struct Folder(pub(super) PathBuf);

impl Folder {
    /// The folder at `path`, which need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The file of the checkpoint after so many steps.
    pub fn file(&self, step: u64) -> PathBuf {
        self.0.join(format!("{PREFIX}{step}{SUFFIX}"))
    }

    /// The steps of all checkpoints, in order.
    ///
    /// # Errors
    /// [`Error::Model`] for a folder that cannot be read. One that does not exist has no checkpoints.
    pub fn steps(&self) -> Result<Vec<u64>> {
        let failed = |source| wgrad_nn::Error::Read { path: self.0.clone(), source };
        let entries = match std::fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error).into()),
        };
        let mut steps = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            let step = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
            // Names with another spelling of a number are not ours.
            let step = step.and_then(|text| Some((text, text.parse::<u64>().ok()?)));
            steps.extend(step.filter(|(text, step)| *text == step.to_string()).map(|(_, step)| step));
        }
        steps.sort_unstable();
        Ok(steps)
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// [`Error::Model`] for a file that cannot be read, [`Error::Checkpoint`] for one that is not as it was written.
    pub fn load(&self, step: u64) -> Result<StateDict> {
        let path = self.file(step);
        let state = StateDict::load(&path)?;
        check_whole(&state).map_err(|message| Error::Checkpoint { path, message })?;
        Ok(state)
    }

    /// The file of the newest checkpoint.
    ///
    /// # Errors
    /// As [`Folder::steps`].
    pub fn newest(&self) -> Result<Option<PathBuf>> {
        Ok(self.steps()?.last().map(|step| self.file(*step)))
    }

    /// The file of the checkpoint that is the best by a figure of
    /// [`Checkpoints::keep_best`](crate::Checkpoints::keep_best), as the newest one has it.
    ///
    /// # Errors
    /// As [`Folder::load`].
    pub fn best(&self, figure: &str) -> Result<Option<PathBuf>> {
        let Some(newest) = self.steps()?.pop() else { return Ok(None) };
        let state = self.load(newest)?;
        // Of several callbacks that keep checkpoints the state has each one's, the second's as `checkpoints_2`.
        let of_checkpoints = |key: &str| {
            let name = key
                .strip_prefix("wgrad.callback_checkpoints")?
                .strip_suffix(figure)?
                .strip_suffix(".best.")?;
            name.trim_start_matches('_').bytes().all(|byte| byte.is_ascii_digit()).then_some(())
        };
        let entries = state.metadata.iter().filter(|(key, _)| of_checkpoints(key).is_some());
        let mut files = entries.filter_map(|(_, text)| parse_best(text)).map(|(_, step)| self.file(step));
        Ok(files.find(|file| file.exists()))
    }
}

/// Value and step of the best checkpoint by some figure, as a state has them.
pub(super) fn parse_best(text: &str) -> Option<(f64, u64)> {
    let (value, step) = text.split_once(' ')?;
    Some((f64::from_bits(u64::from_str_radix(value, 16).ok()?), step.parse().ok()?))
}
