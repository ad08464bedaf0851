//! Metrics of the order in which rows stand by their scores.

use std::collections::VecDeque;

use wgrad_autograd::device::Pending;
use wgrad_autograd::{DType, Tensor};
use wgrad_nn::StateDict;

use super::Outputs;
use super::metric_state::{number, tensor, wrong};
use super::outputs::{class_targets, classes_of, single_column};
use crate::{Error, Result};

/// Batches whose scores are under way at most.
const LAG: usize = 16;

/// Of rows from the largest score down, equal scores together: positive and negative ones of each group.
fn groups(scores: &[f32], positive: &[bool]) -> Vec<[u64; 2]> {
    let mut rows: Vec<(f32, bool)> = scores.iter().copied().zip(positive.iter().copied()).collect();
    rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let equal = rows.chunk_by(|a, b| a.0 == b.0);
    equal
        .map(|group| {
            let positive = group.iter().filter(|row| row.1).count() as u64;
            [positive, group.len() as u64 - positive]
        })
        .collect()
}

/// Area under the ROC curve: the probability that a positive row has a larger score than a negative one, where equal scores
/// count half. NaN where one of both does not occur, or a score is NaN: then it is undefined.
///
/// Counterpart: `sklearn.metrics.roc_auc_score`.
pub fn roc_auc(scores: &[f32], positive: &[bool]) -> f64 {
    if scores.iter().any(|score| score.is_nan()) {
        return f64::NAN;
    }
    // Twice the number of pairs in the right order, in whole numbers.
    let (mut pairs, mut above, mut below) = (0_u128, 0, 0);
    for [positive, negative] in groups(scores, positive) {
        pairs += u128::from(negative) * u128::from(2 * above + positive);
        above += positive;
        below += negative;
    }
    pairs as f64 / (2.0 * above as f64 * below as f64)
}

/// Area under the curve of precision over recall, as a sum of steps: the mean precision at the scores of the positive rows.
/// 0 where there is no positive row, as in scikit-learn; NaN where a score is.
///
/// Counterpart: `sklearn.metrics.average_precision_score`.
pub fn average_precision(scores: &[f32], positive: &[bool]) -> f64 {
    if scores.iter().any(|score| score.is_nan()) {
        return f64::NAN;
    }
    let (mut sum, mut hits, mut taken) = (0.0, 0, 0);
    for [positive, negative] in groups(scores, positive) {
        hits += positive;
        taken += positive + negative;
        sum += positive as f64 * (hits as f64 / taken as f64);
    }
    if hits == 0 { 0.0 } else { sum / hits as f64 }
}

/// Gathers the scores and targets of all rows on the host: so many numbers as outputs have.
///
/// With two classes the score is class 1's: a single one as it is, or the difference of two logits. With more, each class
/// stands against the rest by its probability, and the mean is taken over all classes.
pub struct RankedScores {
    outputs: Outputs,
    classes: usize,
    /// Scores and targets that have been read.
    scores: Vec<f32>,
    targets: Vec<i32>,
    batches: VecDeque<(Pending<f32>, Pending<i32>)>,
}

impl RankedScores {
    /// For these outputs.
    pub fn new(outputs: Outputs) -> Self {
        Self { outputs, classes: 0, scores: Vec::new(), targets: Vec::new(), batches: VecDeque::new() }
    }

    /// Records the read of a batch. Nothing waits for the device.
    ///
    /// # Errors
    /// [`Error::Model`] for shapes that don't fit each other; [`Error::Usage`] for another number of classes than before.
    pub fn update(&mut self, output: &Tensor, targets: &Tensor) -> Result<()> {
        let (classes, targets) = (classes_of(output)?, class_targets(output, targets)?);
        if targets.is_empty() {
            return Ok(());
        }
        if self.classes > 0 && classes != self.classes {
            let message = format!("an output of {classes} classes after outputs of {}", self.classes);
            return Err(Error::Usage(message));
        }
        self.classes = classes;
        let output = output.detach().to_dtype(DType::F32)?;
        let scores = match self.outputs {
            _ if single_column(&output).is_some() => output,
            Outputs::Logits if classes == 2 => output.narrow(1, 1, 1)?.sub(&output.narrow(1, 0, 1)?)?,
            Outputs::Probabilities if classes == 2 => output.narrow(1, 1, 1)?,
            Outputs::Logits => output.softmax()?,
            Outputs::Probabilities => output,
        };
        self.batches.push_back((scores.read_later()?, targets.read_later_as()?));
        self.read(LAG)
    }

    /// Waits for all but the last batches.
    fn read(&mut self, last: usize) -> Result<()> {
        while self.batches.len() > last {
            let Some((scores, targets)) = self.batches.pop_front() else { break };
            self.scores.extend(scores.wait()?);
            self.targets.extend(targets.wait()?);
        }
        Ok(())
    }

    pub(super) fn save(&mut self) -> Result<StateDict> {
        self.read(0)?;
        let mut state = StateDict::default();
        state.metadata.insert("classes".to_owned(), self.classes.to_string());
        let targets: Vec<f32> = self.targets.iter().map(|target| *target as f32).collect();
        state.tensors.insert("targets".to_owned(), (vec![targets.len()], targets));
        state.tensors.insert("scores".to_owned(), (vec![self.scores.len()], self.scores.clone()));
        Ok(state)
    }

    pub(super) fn load(&mut self, state: &StateDict) -> Result<()> {
        let (scores, targets) = (tensor(state, "scores")?.1, tensor(state, "targets")?.1);
        self.classes = number(state, "classes")?;
        let columns = if self.classes == 2 { 1 } else { self.classes };
        if scores.len() != targets.len() * columns {
            return Err(wrong("scores"));
        }
        self.scores = scores.to_vec();
        self.targets = targets.iter().map(|target| *target as i32).collect();
        Ok(())
    }

    /// Waits for the scores and gives [`roc_auc`] and [`average_precision`], and begins anew. NaN where there were no rows;
    /// with more than two classes both are means over the classes, and the first is NaN where a class does not occur.
    ///
    /// Counterpart: `roc_auc_score(multi_class="ovr")` and `average_precision_score`, `average="macro"`.
    ///
    /// # Errors
    /// [`Error::Usage`] where targets are no classes of the output, and what the device reports.
    pub fn take(&mut self) -> Result<[f64; 2]> {
        self.read(0)?;
        let classes = std::mem::take(&mut self.classes);
        let (scores, targets) = (std::mem::take(&mut self.scores), std::mem::take(&mut self.targets));
        if let Some(target) = targets.iter().find(|&&target| target < 0 || target as usize >= classes) {
            let message = format!("a target {target} is no class: the output has 0 to {}", classes - 1);
            return Err(Error::Usage(message));
        }
        if targets.is_empty() {
            return Ok([f64::NAN; 2]);
        }
        let columns = if classes == 2 { 1 } else { classes };
        let mut sums = [0.0; 2];
        for column in 0..columns {
            let class = if classes == 2 { 1 } else { column };
            let positive: Vec<bool> = targets.iter().map(|&target| target as usize == class).collect();
            let scores: Vec<f32> = scores.iter().skip(column).step_by(columns).copied().collect();
            sums[0] += roc_auc(&scores, &positive);
            sums[1] += average_precision(&scores, &positive);
        }
        Ok(sums.map(|sum| sum / columns as f64))
    }
}
