//! The metadata of a state, value by value.

use std::str::FromStr;

use wgrad_nn::StateDict;

use super::callback::Place;
use super::means::Means;
use crate::{Error, Result};

/// Reads a state's metadata.
pub(super) struct Reader<'f> {
    pub(super) file: &'f str,
}

impl Reader<'_> {
    pub(super) fn error(&self, message: impl Into<String>) -> Error {
        Error::Checkpoint { path: self.file.into(), message: message.into() }
    }

    pub(super) fn value<T: FromStr>(&self, state: &StateDict, name: &str) -> Result<T> {
        self.parse(name, state.metadata.get(&format!("wgrad.{name}")))
    }

    pub(super) fn parse<T: FromStr>(&self, name: &str, text: Option<&String>) -> Result<T> {
        let text =
            text.ok_or_else(|| self.error(format!("no wgrad checkpoint: its metadata lack wgrad.{name}")))?;
        text.parse().map_err(|_| self.error(format!("wgrad.{name} is {text:?}, which makes no sense")))
    }

    pub(super) fn place(&self, state: &StateDict, rows: usize) -> Result<Place> {
        let means: String = self.value(state, "means")?;
        let place = Place {
            step: self.value(state, "step")?,
            epoch: self.value(state, "epoch")?,
            rows: self.value(state, "rows")?,
            skipped: self.value(state, "skipped")?,
            means: Means::from_text(&means).ok_or_else(|| self.error("wgrad.means are no means"))?,
        };
        if place.rows >= rows {
            return Err(self.error(format!("wgrad.rows is {}, more than the data set has", place.rows)));
        }
        Ok(place)
    }
}
