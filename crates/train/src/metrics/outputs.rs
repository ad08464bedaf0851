//! What a model's output says of classes.

use wgrad_autograd::{DType, Error as OpError, Tensor, concat};

use crate::{Error, Result};

/// What the numbers of an output stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outputs {
    /// Logits: cross-entropy takes them, or `bce_with_logits` where there is one for each row.
    #[default]
    Logits,
    /// Probabilities, 0 to 1: of every class, or of class 1 where there is one for each row.
    Probabilities,
}

impl Outputs {
    /// The number that stands for the probability `p`, where an output has one for each row.
    fn of_probability(self, p: f32) -> f32 {
        match self {
            Self::Logits => (f64::from(p) / (1.0 - f64::from(p))).ln() as f32,
            Self::Probabilities => p,
        }
    }

    /// The class that each row of `output` is given, of shape `[n]` and type i32: the first that has the largest score, or of
    /// two classes class 1 where its probability is more than `threshold`.
    pub(super) fn decide(self, output: &Tensor, threshold: f32) -> Result<Tensor> {
        check_threshold(threshold)?;
        let output = output.detach();
        let Some(rows) = single_column(&output) else {
            check_columns("metrics", &output)?;
            return Ok(output.argmax(1)?);
        };
        let scores = output.to_dtype(DType::F32)?.reshape(&[rows, 1])?;
        let threshold = Tensor::full(output.gpu(), &[rows, 1], self.of_probability(threshold))?;
        // Of equal ones the first is the largest: what lies on the threshold is class 0.
        Ok(concat(&[&threshold, &scores], 1)?.argmax(1)?)
    }
}

/// The number of rows of an output that has one score for each.
pub(super) fn single_column(output: &Tensor) -> Option<usize> {
    match output.shape() {
        &[rows] | &[rows, 1] => Some(rows),
        _ => None,
    }
}

/// The number of classes that an output tells apart.
pub(super) fn classes_of(output: &Tensor) -> Result<usize> {
    if single_column(output).is_some() { Ok(2) } else { check_columns("metrics", output) }
}

fn check_columns(op: &'static str, output: &Tensor) -> Result<usize> {
    if let &[_, classes] = output.shape()
        && classes > 1
    {
        return Ok(classes);
    }
    let message = format!(
        "an output {:?}: it is [n, classes], or [n] or [n, 1] with the score of class 1",
        output.shape()
    );
    Err(OpError::shape(op, message).into())
}

/// Class targets as `[n]` of type i32, as many as the output has rows.
pub(super) fn class_targets(output: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let rows = output.shape().first().copied().unwrap_or(0);
    if single_column(targets) != Some(rows) {
        let message = format!(
            "targets {:?} for an output {:?}: class indices are [n] or [n, 1], one for each row",
            targets.shape(),
            output.shape()
        );
        return Err(OpError::shape("metrics", message).into());
    }
    Ok(targets.detach().reshape(&[rows])?.to_dtype(DType::I32)?)
}

/// Of indices `[n]` of type i32 a row with a 1 at the index and 0 elsewhere: `[n, classes]` of type f32. An index that is no
/// class has a row of zeros.
pub(super) fn one_hot(indices: &Tensor, classes: usize) -> Result<Tensor> {
    let all: Vec<i32> = (0..classes as i32).collect();
    let all = Tensor::from_slice(indices.gpu(), &all, &[1, classes])?;
    Ok(indices.unsqueeze(1)?.equal(&all)?.to_dtype(DType::F32)?)
}

fn check_threshold(threshold: f32) -> Result<()> {
    if (0.0..=1.0).contains(&threshold) {
        return Ok(());
    }
    Err(Error::Usage(format!("a threshold of {threshold}: it is a probability, 0 to 1")))
}
