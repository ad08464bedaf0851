//! [`Metric`]: a figure of merit over all rows of a data set.

use wgrad_autograd::{Gpu, Tensor};
use wgrad_nn::StateDict;

use crate::Result;

/// A figure of merit, such as accuracy, and how it is computed. Counterpart: a `torchmetrics.Metric`.
///
/// It is a value that describes; [`Metric::accumulator`] starts a computation.
pub trait Metric {
    /// The name, such as `accuracy`. Histories and logs have it as `val_accuracy` and, of the training rows,
    /// `train_accuracy`.
    fn name(&self) -> String;

    /// Starts a computation over one data set.
    fn accumulator(&self) -> Box<dyn Accumulator>;

    /// Whether a larger value is the better one.
    fn higher_is_better(&self) -> bool;
}

/// A metric under way over the rows of a data set.
///
/// What it gives is a figure of all rows, so that it does not depend on how they are divided into batches.
pub trait Accumulator {
    /// Takes in a batch: the predictions and targets that were given to [`Output::judged`](crate::Output::judged), row by row,
    /// on the device. It is best not to wait for the device here: [`Tensor::read_later_as`] lets the next batch begin.
    ///
    /// # Errors
    /// For shapes and types that the metric is not made for, and what the device reports.
    fn update(&mut self, prediction: &Tensor, target: &Tensor) -> Result<()>;

    /// The figure of all rows that were taken in; NaN where it is not defined, which no comparison takes for the best.
    ///
    /// # Errors
    /// What the device reports.
    fn compute(&mut self) -> Result<f64>;

    /// Gives what was taken in so far, which goes on being counted. A checkpoint within an epoch keeps it for metrics of the training
    /// rows, so that the resumed run has the figures of all rows of the epoch, to the bit. Without it, as by default, the figure of
    /// an epoch that was resumed is NaN.
    ///
    /// # Errors
    /// What the device reports.
    fn save_state(&mut self) -> Result<Option<StateDict>> {
        Ok(None)
    }

    /// Takes what [`Accumulator::save_state`] gave, before the first batch; `gpu` is where batches will lie.
    ///
    /// # Errors
    /// For a state that makes no sense.
    #[expect(unused_variables, reason = "names of parameters are documentation")]
    fn load_state(&mut self, gpu: &Gpu, state: &StateDict) -> Result<()> {
        Ok(())
    }
}
