//! Confusion matrices, and the scores that follow from one.

use std::fmt;

use crate::{Error, Result};

/// How the scores of classes become one. The names are scikit-learn's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Average {
    /// The score of one class alone: of two classes `Class(1)` is `average="binary"`.
    Class(usize),
    /// The mean of all classes' scores, whether they occur or not.
    Macro,
    /// The score of the counts of all classes together: for precision, recall and F-beta it is the accuracy.
    Micro,
    /// The mean of the classes' scores, each weighted by its number of rows.
    Weighted,
}

/// How often rows of one class were taken for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    /// Row by row: the true class's row, the predicted class's column.
    counts: Vec<u64>,
}

/// What a model does with one class. A quotient with nothing to divide by is 0, as with scikit-learn's `zero_division=0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassScores {
    /// The share of the rows taken for this class that are of it.
    pub precision: f64,
    /// The share of this class's rows that were taken for it.
    pub recall: f64,
    /// The harmonic mean of both, with recall weighted `beta²` times.
    pub f_beta: f64,
    /// The number of rows of this class.
    pub support: u64,
}

/// True positives, and all that was predicted and that is true, of a class or of several.
#[derive(Clone, Copy, Default)]
struct Tally {
    hits: u64,
    predicted: u64,
    truly: u64,
}

impl Tally {
    fn precision(self) -> f64 {
        ratio(self.hits as f64, self.predicted as f64)
    }

    fn recall(self) -> f64 {
        ratio(self.hits as f64, self.truly as f64)
    }

    fn f_beta(self, beta: f64) -> f64 {
        let beta2 = beta * beta;
        ratio((1.0 + beta2) * self.hits as f64, beta2 * self.truly as f64 + self.predicted as f64)
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

impl ConfusionMatrix {
    /// From `classes²` counts, row by row: row `i` holds the rows whose class is `i`, column `j` those taken for `j`.
    ///
    /// # Errors
    /// [`Error::Usage`] for another number of counts.
    pub fn new(classes: usize, counts: Vec<u64>) -> Result<Self> {
        if classes.checked_mul(classes) == Some(counts.len()) {
            return Ok(Self { classes, counts });
        }
        let message = format!("{} counts for a confusion matrix of {classes} classes squared", counts.len());
        Err(Error::Usage(message))
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The number of rows of class `truth` that were taken for class `predicted`; 0 for a class that does not exist.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        if predicted >= self.classes {
            return 0;
        }
        self.counts.get(truth * self.classes + predicted).copied().unwrap_or(0)
    }

    /// All counts: the true class's row, the predicted class's column.
    pub fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.counts.chunks(self.classes.max(1))
    }

    /// The number of rows that were counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Each row as shares of its sum, row by row: the recall of the class stands on the diagonal. The row of a class that does
    /// not occur stays 0.
    pub fn normalized(&self) -> Vec<f64> {
        let share = |row: &[u64]| {
            let sum = row.iter().sum::<u64>() as f64;
            row.iter().map(|&count| ratio(count as f64, sum)).collect::<Vec<_>>()
        };
        self.rows().flat_map(share).collect()
    }

    fn tally(&self, class: usize) -> Tally {
        let column = (0..self.classes).map(|truth| self.count(truth, class)).sum();
        let row = (0..self.classes).map(|predicted| self.count(class, predicted)).sum();
        Tally { hits: self.count(class, class), predicted: column, truly: row }
    }

    fn averaged(&self, average: Average, score: impl Fn(Tally) -> f64) -> f64 {
        let tallies = (0..self.classes).map(|class| self.tally(class));
        match average {
            Average::Class(class) => score(self.tally(class)),
            Average::Macro => ratio(tallies.map(score).sum(), self.classes as f64),
            Average::Micro => score(tallies.fold(Tally::default(), |sum, tally| Tally {
                hits: sum.hits + tally.hits,
                predicted: sum.predicted + tally.predicted,
                truly: sum.truly + tally.truly,
            })),
            Average::Weighted => {
                let weighted = tallies.map(|tally| tally.truly as f64 * score(tally)).sum();
                ratio(weighted, self.total() as f64)
            }
        }
    }

    /// The share of rows that were taken for what they are, 0 to 1; NaN where there are none.
    pub fn accuracy(&self) -> f64 {
        let hits: u64 = (0..self.classes).map(|class| self.count(class, class)).sum();
        hits as f64 / self.total() as f64
    }

    /// The share of the rows taken for a class that are of it, 0 to 1. It is 0 for a class that nothing was taken for.
    ///
    /// Counterpart: `sklearn.metrics.precision_score(labels=range(classes), zero_division=0)`.
    pub fn precision(&self, average: Average) -> f64 {
        self.averaged(average, Tally::precision)
    }

    /// The share of a class's rows that were taken for it, 0 to 1. It is 0 for a class that does not occur.
    ///
    /// Counterpart: `sklearn.metrics.recall_score(labels=range(classes), zero_division=0)`.
    pub fn recall(&self, average: Average) -> f64 {
        self.averaged(average, Tally::recall)
    }

    /// The harmonic mean of precision and recall, with recall weighted `beta²` times: `beta` 1 gives F1. It is 0 for a class
    /// that neither occurs nor was predicted.
    ///
    /// Counterpart: `sklearn.metrics.fbeta_score(labels=range(classes), zero_division=0)`.
    pub fn f_beta(&self, beta: f64, average: Average) -> f64 {
        self.averaged(average, |tally| tally.f_beta(beta))
    }

    /// The scores of each class, with F-beta for this `beta`.
    ///
    /// Counterpart: `sklearn.metrics.precision_recall_fscore_support`.
    pub fn per_class(&self, beta: f64) -> Vec<ClassScores> {
        let scores = |tally: Tally| ClassScores {
            precision: tally.precision(),
            recall: tally.recall(),
            f_beta: tally.f_beta(beta),
            support: tally.truly,
        };
        (0..self.classes).map(|class| scores(self.tally(class))).collect()
    }
}

/// A table with a line for each true class and a column for each predicted one.
impl fmt::Display for ConfusionMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let largest = self.counts.iter().copied().max().unwrap_or(0).max(self.classes as u64);
        let width = largest.to_string().len();
        let head = "true \\ predicted";
        write!(f, "{head}")?;
        (0..self.classes).try_for_each(|class| write!(f, " {class:>width$}"))?;
        for (class, row) in self.rows().enumerate() {
            write!(f, "\n{class:>0$}", head.len())?;
            row.iter().try_for_each(|count| write!(f, " {count:>width$}"))?;
        }
        Ok(())
    }
}
