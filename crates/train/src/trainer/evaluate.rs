//! Figures of a model over a data set.

use std::collections::VecDeque;

use wgrad_autograd::no_grad;
use wgrad_data::{Batches, Order};
use wgrad_nn::Mode;

use super::late::BatchLosses;
use super::means::Means;
use crate::{Accumulator, Error, Metric, Output, Result};

/// Batches under way at most.
const LAG: usize = 4;

/// The loss and the metrics of a model over all rows of `set`, by name, in the order of the metrics: `loss`, the names of its
/// parts if it has any, and the metrics.
///
/// `forward` is called with [`Mode::Eval`], and nothing is recorded for gradients. A loss is weighted by the rows of its batch, so
/// that it doesn't depend on the batch size.
///
/// # Errors
/// [`Error::Usage`] for a batch size of 0, and for metrics where `forward` gives no predictions; what `forward`, the metrics and the
/// device report.
pub fn evaluate<B, O: Into<Output>>(
    set: &(impl Batches<Batch = B> + ?Sized),
    batch_size: usize,
    metrics: &[&dyn Metric],
    mut forward: impl FnMut(&B, Mode) -> Result<O>,
) -> Result<Vec<(String, f64)>> {
    figures(&super::ByRef(set), batch_size, metrics, &mut |batch, mode| Ok(forward(batch, mode)?.into()))
}

/// Of an output without what metrics judge.
pub(super) fn no_predictions() -> Error {
    let message = "metrics need predictions: give Output::new(loss).judged(prediction, target)";
    Error::Usage(message.to_owned())
}

pub(crate) fn figures<B>(
    set: &dyn Batches<Batch = B>,
    batch_size: usize,
    metrics: &[&dyn Metric],
    forward: &mut dyn FnMut(&B, Mode) -> Result<Output>,
) -> Result<Vec<(String, f64)>> {
    if batch_size == 0 {
        return Err(Error::Usage("a batch size of 0: a batch needs at least one row".to_owned()));
    }
    set.set_order(Order::Own)?;
    let mut accumulators: Vec<Box<dyn Accumulator>> =
        metrics.iter().map(|metric| metric.accumulator()).collect();
    let (mut means, mut waiting, mut start) = (Means::default(), VecDeque::new(), 0);
    while start < set.len() {
        let rows = batch_size.min(set.len() - start);
        let batch = set.batch(start, rows)?;
        let output = no_grad(|| forward(&batch, Mode::Eval))?;
        match &output.judged {
            Some((prediction, target)) => {
                let mut all = accumulators.iter_mut();
                all.try_for_each(|accumulator| accumulator.update(prediction, target))?;
            }
            None if metrics.is_empty() => {}
            None => return Err(no_predictions()),
        }
        waiting.push_back(BatchLosses::read(&output, output.weight.unwrap_or(rows as f64))?);
        output.loss.gpu().submit()?;
        while waiting.len() > LAG {
            waiting.pop_front().map_or(Ok(()), |oldest| oldest.wait(&mut means))?;
        }
        start += rows;
    }
    waiting.into_iter().try_for_each(|losses| losses.wait(&mut means))?;
    let mut figures = means.figures("");
    for (metric, accumulator) in metrics.iter().zip(&mut accumulators) {
        figures.push((metric.name(), accumulator.compute()?));
    }
    Ok(figures)
}
