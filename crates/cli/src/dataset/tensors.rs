//! Tensors: safetensors files of inputs and targets.

use std::path::Path;

use wgrad::data::tensors::{Targets, Tensors};

use super::{Dataset, parts};
use crate::config::Config;
use crate::tensors::{TensorSchema, classes};
use crate::{Error, Result};

pub(super) fn load(path: &Path, config: &Config) -> Result<Dataset> {
    let set = Tensors::read(path)?;
    if set.x.is_empty() || matches!(&set.y, Targets::Numbers(_, numbers) if numbers.is_empty()) {
        return Err(Error::file(path, "rows without numbers: x and y each need at least one"));
    }
    let found = classes(&set, path)?;
    let rows = match (&found, &set.y) {
        (Some(_), Targets::Classes(labels)) => parts(path, labels, config)?,
        (Some(_), Targets::Numbers(_, numbers)) => {
            let labels: Vec<bool> = numbers.iter().map(|number| *number == 1.0).collect();
            parts(path, &labels, config)?
        }
        (None, _) => parts(path, &vec![(); set.len()], config)?,
    };
    let train = set.select(&rows.train)?;
    let schema = TensorSchema::fit(&train, found.as_ref(), config.standardize != Some(false));
    let (train, valid) = (schema.encode(&train, path)?, schema.encode(&set.select(&rows.test)?, path)?);
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
