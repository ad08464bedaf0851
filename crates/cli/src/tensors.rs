//! How the tensors of a file become what a model takes, and what the numbers that come out mean.

use std::path::Path;

use serde::{Deserialize, Serialize};
use wgrad::data::tensors::{Targets, Tensors};

use crate::{Error, Result};

/// Classes are numbered from 0, so that a single large number would make very many of them.
const MOST_CLASSES: usize = 100_000;

/// What is kept of a file's tensors `x` and `y`: shapes, and how they are scaled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorSchema {
    /// The shape of a row of `x`.
    pub shape: Vec<usize>,
    /// What is subtracted from a row, one number for each place along its first axis: a column, or a plane of an image.
    pub mean: Vec<f32>,
    /// What the difference is divided by.
    pub std: Vec<f32>,
    /// What is predicted.
    pub target: TensorTarget,
}

/// What `y` holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum TensorTarget {
    /// Classes, by their names.
    Classes(Vec<String>),
    /// Numbers, each `std` times what comes out plus `mean`.
    Numbers {
        /// The mean of each number of a row.
        mean: Vec<f32>,
        /// The standard deviation of each.
        std: Vec<f32>,
    },
}

/// Classes found in `y`, and why they are taken for classes.
pub(crate) struct Found {
    pub(crate) classes: Vec<String>,
    pub(crate) why: &'static str,
}

/// Whether `y` holds classes: whole numbers by their type, or floats that are all 0 or 1, as binary losses take them.
pub(crate) fn classes(set: &Tensors, path: &Path) -> Result<Option<Found>> {
    let (largest, why) = match &set.y {
        Targets::Classes(classes) => (classes.iter().copied().max().unwrap_or(0) as usize, "whole numbers"),
        Targets::Numbers(_, numbers)
            if numbers.len() == set.len()
                && [0.0, 1.0].iter().all(|value| numbers.contains(value))
                && numbers.iter().all(|value| [0.0, 1.0].contains(value)) =>
        {
            (1, "floats that are 0 and 1")
        }
        Targets::Numbers(..) => return Ok(None),
    };
    if largest == 0 || largest >= MOST_CLASSES {
        let message = format!(
            "the largest class in y is {largest}: a classifier has 2 to {MOST_CLASSES} classes, counted from 0; \
             store numbers to predict as floats"
        );
        return Err(Error::file(path, message));
    }
    Ok(Some(Found { classes: (0..=largest).map(|class| class.to_string()).collect(), why }))
}

impl TensorSchema {
    /// What these rows, those to train on, say.
    pub(crate) fn fit(train: &Tensors, classes: Option<&Found>, standardize: bool) -> Self {
        let shape = row_shape(&train.shape);
        let size: usize = shape.iter().product();
        let groups = shape[0];
        let (mean, std) = moments(&train.x, size, groups, standardize);
        let target = match (classes, &train.y) {
            (None, Targets::Numbers(_, numbers)) => {
                let size = numbers.len() / train.len();
                let (mean, std) = moments(numbers, size, size, standardize);
                TensorTarget::Numbers { mean, std }
            }
            (found, _) => TensorTarget::Classes(found.map(|found| found.classes.clone()).unwrap_or_default()),
        };
        Self { shape, mean, std, target }
    }

    /// The classes' names; none where numbers come out.
    pub fn classes(&self) -> &[String] {
        match &self.target {
            TensorTarget::Classes(classes) => classes,
            TensorTarget::Numbers { .. } => &[],
        }
    }

    /// Numbers that come out for a row, where no classes do.
    pub(crate) fn numbers(&self) -> usize {
        match &self.target {
            TensorTarget::Classes(_) => 0,
            TensorTarget::Numbers { mean, .. } => mean.len(),
        }
    }

    /// Inputs as the model takes them.
    ///
    /// # Errors
    /// [`Error::File`] for rows of another shape, and a value that is no number.
    pub(crate) fn inputs(&self, shape: &[usize], x: &[f32], path: &Path) -> Result<Vec<f32>> {
        let row = row_shape(shape);
        if row != self.shape {
            let message = format!("rows of x of shape {row:?}, and the model takes {:?}", self.shape);
            return Err(Error::file(path, message));
        }
        check_finite("x", x, shape[0], path)?;
        Ok(scaled(x, &self.mean, &self.std, self.shape.iter().product()))
    }

    /// Inputs as they were before [`TensorSchema::inputs`], but for rounding.
    pub(crate) fn original(&self, x: &[f32]) -> Vec<f32> {
        let size: usize = self.shape.iter().product();
        let part = (size / self.mean.len().max(1)).max(1);
        let one = |(i, value): (usize, &f32)| {
            let group = i % size / part;
            value * self.std[group] + self.mean[group]
        };
        x.iter().enumerate().map(one).collect()
    }

    /// Inputs and targets as a model is trained on them.
    ///
    /// # Errors
    /// As [`TensorSchema::inputs`], and for targets of another kind.
    pub(crate) fn encode(&self, set: &Tensors, path: &Path) -> Result<Tensors> {
        let x = self.inputs(&set.shape, &set.x, path)?;
        let y = match (&self.target, &set.y) {
            (TensorTarget::Classes(classes), y) => Targets::Classes(self.labels(y, classes.len(), path)?),
            (TensorTarget::Numbers { mean, std }, Targets::Numbers(shape, numbers))
                if numbers.len() == set.len() * mean.len() =>
            {
                check_finite("y", numbers, set.len(), path)?;
                Targets::Numbers(shape.clone(), scaled(numbers, mean, std, mean.len()))
            }
            (TensorTarget::Numbers { mean, .. }, _) => {
                let message = format!("y: the model predicts floats, {} of each row", mean.len());
                return Err(Error::file(path, message));
            }
        };
        Ok(Tensors { shape: [&[set.len()], &self.shape[..]].concat(), x, y })
    }

    fn labels(&self, y: &Targets, classes: usize, path: &Path) -> Result<Vec<i32>> {
        let labels: Vec<f64> = match y {
            Targets::Classes(labels) => labels.iter().map(|label| f64::from(*label)).collect(),
            Targets::Numbers(_, numbers) => numbers.iter().map(|number| f64::from(*number)).collect(),
        };
        let is_class = |label: f64| label.fract() == 0.0 && label >= 0.0 && label < classes as f64;
        match labels.iter().position(|label| !is_class(*label)) {
            Some(row) => {
                let message = format!("y of row {row} is {}: classes are 0 to {}", labels[row], classes - 1);
                Err(Error::file(path, message))
            }
            None => Ok(labels.into_iter().map(|label| label as i32).collect()),
        }
    }

    /// Numbers that came out, as they are in `y`.
    pub(crate) fn unscaled(&self, out: &[f32]) -> Vec<f64> {
        let TensorTarget::Numbers { mean, std } = &self.target else { return Vec::new() };
        let one = |(i, value): (usize, &f32)| {
            f64::from(*value) * f64::from(std[i % std.len()]) + f64::from(mean[i % mean.len()])
        };
        out.iter().enumerate().map(one).collect()
    }

    /// Whether all parts fit together.
    ///
    /// # Errors
    /// What does not.
    pub(crate) fn check(&self) -> Result<(), String> {
        let fits = |mean: &[f32], std: &[f32], count: usize| {
            mean.len() == count
                && std.len() == count
                && mean.iter().chain(std).all(|value| value.is_finite())
                && std.iter().all(|value| *value > 0.0)
        };
        let groups = self.shape.first().copied().unwrap_or(1);
        if !fits(&self.mean, &self.std, groups) {
            return Err(format!("means and deviations do not scale rows of shape {:?}", self.shape));
        }
        match &self.target {
            TensorTarget::Numbers { mean, std } if mean.is_empty() || !fits(mean, std, mean.len()) => {
                Err("means and deviations do not scale what is predicted".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// The shape of a row of `x`; rows of a single number have one column.
fn row_shape(shape: &[usize]) -> Vec<usize> {
    if shape.len() > 1 { shape[1..].to_vec() } else { vec![1] }
}

/// Mean and standard deviation of the values of each of `groups` parts of a row; a part whose values are all equal has 1.
fn moments(values: &[f32], size: usize, groups: usize, is_wanted: bool) -> (Vec<f32>, Vec<f32>) {
    if !is_wanted || size == 0 {
        return (vec![0.0; groups], vec![1.0; groups]);
    }
    let (part, n) = (size / groups, (values.len() / groups) as f64);
    let mean_of = |value: &dyn Fn(usize, f64) -> f64| -> Vec<f64> {
        let mut sums = vec![0.0; groups];
        for (i, number) in values.iter().enumerate() {
            let group = i % size / part;
            sums[group] += value(group, f64::from(*number));
        }
        sums.into_iter().map(|sum| sum / n).collect()
    };
    let mean = mean_of(&|_, number| number);
    let variance = mean_of(&|group, number| (number - mean[group]).powi(2));
    let std = variance.into_iter().map(|variance| Some(variance.sqrt() as f32));
    let std = std.map(|std| std.filter(|std| std.is_normal()).unwrap_or(1.0));
    (mean.iter().map(|mean| *mean as f32).collect(), std.collect())
}

fn scaled(values: &[f32], mean: &[f32], std: &[f32], size: usize) -> Vec<f32> {
    let part = (size / mean.len().max(1)).max(1);
    let one = |(i, value): (usize, &f32)| {
        let group = i % size / part;
        ((f64::from(*value) - f64::from(mean[group])) / f64::from(std[group])) as f32
    };
    values.iter().enumerate().map(one).collect()
}

fn check_finite(name: &str, values: &[f32], rows: usize, path: &Path) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(i) => {
            let row = i / (values.len() / rows);
            let message =
                format!("{name} has {} in row {row}, counted from 0: leave such rows out", values[i]);
            Err(Error::file(path, message))
        }
        None => Ok(()),
    }
}
