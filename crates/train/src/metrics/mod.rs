//! Metrics of a whole pass over a data set, equal to scikit-learn's on all rows together, however they were batched.
//!
//! Counts and sums are computed on the device, batch by batch, and read once at the end. What depends on the order of all
//! scores, ROC AUC and average precision, gathers the scores on the host and sorts them there.
//!
//! An output has the shape `[n, classes]`, with a column of scores for each class; or, where there are two classes, `[n]` or
//! `[n, 1]`, with the score of class 1 alone. Class targets are `[n]` or `[n, 1]`, class indices of type i32, or such
//! indices as floats, as binary losses take them.

mod confusion;
mod counts;
mod hits;
mod metric_state;
mod outputs;
mod ranking;
mod regression;
mod score;

pub use confusion::{Average, ClassScores, ConfusionMatrix};
pub use counts::ClassCounts;
pub use hits::{Hits, TopK};
pub use outputs::Outputs;
pub use ranking::{RankedScores, average_precision, roc_auc};
pub use regression::{RegressionScores, RegressionSums};
pub use score::{Score, ScoreOf};
