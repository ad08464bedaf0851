//! The states of accumulators: numbers as texts, and values.

use std::str::FromStr;

use wgrad_nn::StateDict;

use crate::{Error, Result};

/// The number `name` of a state.
pub(super) fn number<T: FromStr>(state: &StateDict, name: &str) -> Result<T> {
    let number = state.metadata.get(name).and_then(|text| text.parse().ok());
    number.ok_or_else(|| wrong(name))
}

/// The tensor `name` of a state.
pub(super) fn tensor<'s>(state: &'s StateDict, name: &str) -> Result<(&'s [usize], &'s [f32])> {
    let (shape, values) = state.tensors.get(name).ok_or_else(|| wrong(name))?;
    Ok((shape, values))
}

pub(super) fn wrong(name: &str) -> Error {
    Error::Usage(format!("the {name} of a metric of the training rows make no sense"))
}
