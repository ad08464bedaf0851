//! Tensors: safetensors files of inputs and targets.

use std::path::Path;

use wgrad::data::split::{split, stratified_split};
use wgrad::data::tensors::{Targets, Tensors};

use super::{Dataset, VALIDATION};
use crate::config::Config;
use crate::tensors::{TensorSchema, classes};
use crate::{Error, Result};

pub(super) fn load(path: &Path, config: &Config) -> Result<Dataset> {
    let set = Tensors::read(path)?;
    if set.x.is_empty() || matches!(&set.y, Targets::Numbers(_, numbers) if numbers.is_empty()) {
        return Err(Error::file(path, "rows without numbers: x and y each need at least one"));
    }
    let found = classes(&set, path)?;
    let (share, seed) = (config.validation.unwrap_or(VALIDATION), config.seed.unwrap_or(0));
    let parts = match (&found, &set.y) {
        (Some(_), Targets::Classes(labels)) => stratified_split(labels, share, seed)?,
        (Some(_), Targets::Numbers(_, numbers)) => {
            let labels: Vec<bool> = numbers.iter().map(|number| *number == 1.0).collect();
            stratified_split(&labels, share, seed)?
        }
        (None, _) => split(set.len(), share, seed)?,
    };
    let train = set.select(&parts.train)?;
    let schema = TensorSchema::fit(&train, found.as_ref(), config.standardize != Some(false));
    let (train, valid) = (schema.encode(&train, path)?, schema.encode(&set.select(&parts.test)?, path)?);
    let predicts = match (&found, schema.numbers()) {
        (Some(found), _) => format!("{} classes ({})", found.classes.len(), found.why),
        (None, 1) => "a number (floats)".to_owned(),
        (None, n) => format!("{n} numbers (floats)"),
    };
    let about = format!(
        "{}: tensors, {} rows of shape {:?} to train on and {} to validate; y is {predicts}",
        path.display(),
        train.len(),
        schema.shape,
        valid.len(),
    );
    Ok(Dataset::Tensors { schema, train, valid, about })
}
