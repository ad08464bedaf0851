//! Figures of a model over a data set.

use std::collections::VecDeque;

use wgrad_autograd::{Tensor, no_grad};
use wgrad_data::{Batches, Order};
use wgrad_nn::Mode;

use super::means::Means;
use super::pending::BatchLosses;
use crate::parallel::{DataParallel, RowsToGather};
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
    let alone = DataParallel::solo();
    figures(&super::ByRef(set), batch_size, metrics, &alone, &mut |batch, mode| {
        Ok(forward(batch, mode)?.into())
    })
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
    parallel: &DataParallel,
    forward: &mut dyn FnMut(&B, Mode) -> Result<Output>,
) -> Result<Vec<(String, f64)>> {
    if batch_size == 0 {
        return Err(Error::Usage("a batch size of 0: a batch needs at least one row".to_owned()));
    }
    set.set_order(Order::Own)?;
    let mut accumulators: Vec<Box<dyn Accumulator>> =
        metrics.iter().map(|metric| metric.accumulator()).collect();
    let (mut means, mut waiting, mut start) = (Means::default(), VecDeque::new(), 0);
    let mut queue = PredictionQueue { parallel, waiting: VecDeque::new() };
    while start < set.len() {
        let rows = batch_size.saturating_mul(parallel.size()).min(set.len() - start);
        // Ranks divide each batch. One that has no row of a short last batch looks at its first row, which does not count.
        let share = parallel.share(rows);
        let counted = share.len();
        let batch = set.batch(start + share.start.min(rows - 1), counted.max(1))?;
        let output = no_grad(|| forward(&batch, Mode::Eval))?;
        match &output.judged {
            Some((prediction, target)) if !metrics.is_empty() => {
                queue.update(prediction, target, counted > 0, &mut accumulators)?;
            }
            None if !metrics.is_empty() => return Err(no_predictions()),
            _ => {}
        }
        let output = output.with_weight_of(counted)?;
        let weight = output.weight.filter(|weight| counted > 0 && *weight > 0.0);
        if let Some(weight) = weight {
            waiting.push_back(BatchLosses::read(&output, weight)?);
        }
        output.loss.gpu().submit()?;
        while waiting.len() > LAG {
            waiting.pop_front().map_or(Ok(()), |oldest| oldest.wait(&mut means))?;
        }
        start += rows;
    }
    waiting.into_iter().try_for_each(|losses| losses.wait(&mut means))?;
    queue.finish(&mut accumulators)?;
    let mut figures = parallel.all_means(means)?.figures("");
    for (metric, accumulator) in metrics.iter().zip(&mut accumulators) {
        figures.push((metric.name(), accumulator.compute()?));
    }
    Ok(figures)
}

/// Predictions and targets on their way to the metrics, which see the rows of all ranks in the order of the set.
struct PredictionQueue<'p> {
    parallel: &'p DataParallel,
    waiting: VecDeque<[RowsToGather; 2]>,
}

impl PredictionQueue<'_> {
    /// Takes a batch, or nothing of it where none of its rows counts.
    fn update(
        &mut self,
        prediction: &Tensor,
        target: &Tensor,
        counts: bool,
        accumulators: &mut [Box<dyn Accumulator>],
    ) -> Result<()> {
        if self.parallel.is_alone() {
            return accumulators
                .iter_mut()
                .try_for_each(|accumulator| accumulator.update(prediction, target));
        }
        let kept = |x: &Tensor| if counts { Ok(x.clone()) } else { x.narrow(0, 0, 0) };
        let [prediction, target] = [kept(prediction)?, kept(target)?];
        self.waiting.push_back([RowsToGather::new(&prediction)?, RowsToGather::new(&target)?]);
        if self.waiting.len() > LAG { self.update_oldest(accumulators) } else { Ok(()) }
    }

    fn update_oldest(&mut self, accumulators: &mut [Box<dyn Accumulator>]) -> Result<()> {
        let Some([prediction, target]) = self.waiting.pop_front() else { return Ok(()) };
        let (prediction, target) = (prediction.gather(self.parallel)?, target.gather(self.parallel)?);
        accumulators.iter_mut().try_for_each(|accumulator| accumulator.update(&prediction, &target))
    }

    fn finish(&mut self, accumulators: &mut [Box<dyn Accumulator>]) -> Result<()> {
        while !self.waiting.is_empty() {
            self.update_oldest(accumulators)?;
        }
        Ok(())
    }
}
