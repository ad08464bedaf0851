//! [`cross_validate`]: one fit for each fold, and how much their figures differ.

use super::History;
use crate::Result;

/// The fits of a cross-validation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CrossValidation {
    /// The history of each fold, in order.
    pub folds: Vec<History>,
}

/// Calls `fit` with each fold and its number, counted from 0. A fold is whatever says which rows are trained on and which are for
/// validation. Counterpart: scikit-learn's `cross_validate`.
///
/// `fit` builds the model, the optimizer and the trainer, so that each fold starts anew: nothing can leak from one to the next.
///
/// # Errors
/// The first error of `fit`, which ends it.
pub fn cross_validate<F>(
    folds: impl IntoIterator<Item = F>,
    mut fit: impl FnMut(F, usize) -> Result<History>,
) -> Result<CrossValidation> {
    let folds = folds.into_iter().enumerate().map(|(i, fold)| fit(fold, i)).collect::<Result<_>>()?;
    Ok(CrossValidation { folds })
}

impl CrossValidation {
    /// The figure `name` of each fold that has it, in the epoch whose weights its model has: [`History::kept`].
    pub fn kept(&self, name: &str) -> Vec<f64> {
        self.folds.iter().filter_map(|history| history.kept()?.get(name)).collect()
    }

    /// Mean and standard deviation (with the divisor `n - 1`) over the folds of the figure `name` as [`CrossValidation::kept`] has it.
    /// `None` if no fold has it; of one fold the deviation is NaN.
    pub fn mean(&self, name: &str) -> Option<(f64, f64)> {
        mean(&self.kept(name))
    }
}

/// Mean and standard deviation of a sample.
fn mean(values: &[f64]) -> Option<(f64, f64)> {
    if values.is_empty() {
        return None;
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((mean, (squares / (n - 1.0)).sqrt()))
}
