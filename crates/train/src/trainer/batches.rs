//! The batches of a step, and their gradient.

use wgrad_nn::{FlatValues, Gradients, Mode};

use super::gradient_mean::GradientMean;
use super::memory::Measuring;
use super::pending::BatchLosses;
use super::run::Run;
use crate::parallel::{Exchange, LocalGradients};
use crate::{Error, Output, Result};

/// What a step's batches give: their gradient, where anything counts, and this rank's losses.
type StepGradient = (Option<Gradients>, Vec<BatchLosses>);

impl<B> Run<'_, '_, B> {
    /// The gradient of the step's batches, fewer at an epoch's end. Either all ranks have one, or none.
    pub(super) fn gradients(&mut self, measuring: &mut Option<Measuring>) -> Result<StepGradient> {
        if self.trainer.parallel.adds_gradients() {
            return self.gradients_of_ranks(measuring);
        }
        let (mut mean, mut batches) = (GradientMean::default(), Vec::new());
        for i in 0..self.trainer.plan.accumulate {
            let Some((output, _)) = self.next_batch(i, measuring)? else { break };
            let (weight, parameters) = (output.weight.unwrap_or_default(), &self.trainer.parameters);
            // A mean over nothing is NaN, and counts for nothing.
            if weight > 0.0 {
                batches.push(BatchLosses::read(&output, weight)?);
                mean.add(parameters.gradients(&output.loss)?, weight)?;
            } else if !self.trainer.parallel.is_alone() {
                // Layers of other ranks may wait for this pass.
                parameters.with_void(true, || parameters.gradients(&output.loss))?;
            }
        }
        let own = mean.finish()?;
        if !self.trainer.parallel.any(own.is_some())? {
            return Ok((None, batches));
        }
        // Ranks that step by themselves step together: one on which nothing counts by nothing.
        let own = own.map_or_else(|| FlatValues::zeros(&self.trainer.parameters), Ok)?;
        Ok((Some(own), batches))
    }

    /// The gradient over all ranks. A rank whose batch counts for nothing makes its passes too, since layers may wait for them.
    fn gradients_of_ranks(&mut self, measuring: &mut Option<Measuring>) -> Result<StepGradient> {
        let (mut sum, mut batches, mut scale) = (LocalGradients::default(), Vec::new(), None);
        let (count, size) = (self.trainer.plan.accumulate, self.trainer.parallel.size() as f64);
        for i in 0..count {
            let Some((output, rows)) = self.next_batch(i, measuring)? else { break };
            let own = output.weight.unwrap_or_default();
            if own > 0.0 {
                batches.push(BatchLosses::read(&output, own)?);
            }
            let (parameters, parallel) = (&self.trainer.parameters, &self.trainer.parallel);
            let [all] = if output.is_counted { parallel.sums([own])? } else { [rows as f64] };
            if all <= 0.0 {
                continue;
            }
            // About 1, so that f16 gradients stay in range; the same for all batches of a step.
            let scale = *scale.get_or_insert(size / all);
            sum.total += all * scale;
            if count == 1 {
                let exchange = Exchange::new(parallel, parameters);
                return Ok((Some(exchange.of_loss(&output.loss, own * scale, sum.total)?), batches));
            }
            sum.add(parameters, &output.loss, own * scale)?;
        }
        if sum.total <= 0.0 {
            return Ok((None, batches));
        }
        let exchange = Exchange::new(&self.trainer.parallel, &self.trainer.parameters);
        Ok((Some(exchange.of_sum(sum)?), batches))
    }

    /// What the closure makes of the next batch, and the rows that this batch has on all ranks; nothing at an epoch's end.
    fn next_batch(&mut self, i: usize, measuring: &mut Option<Measuring>) -> Result<Option<(Output, usize)>> {
        let of_all = self.trainer.plan.batch_size.saturating_mul(self.trainer.parallel.size());
        let rows = of_all.min(self.fit.epoch_rows - self.fit.place.rows);
        if rows == 0 {
            return Ok(None);
        }
        let gpu = self.trainer.parameters.gpu().clone();
        if i > 0 {
            gpu.submit()?;
        }
        let output = self.output(rows)?;
        if let (0, Some(measuring)) = (i, measuring) {
            measuring.forward_done(&gpu);
        }
        self.fit.place.rows += rows;
        Ok(Some((output, rows)))
    }

    /// What the closure makes of this rank's share of so many rows; its weight is set.
    fn output(&mut self, rows: usize) -> Result<Output> {
        use wgrad_autograd::Error::Shape;
        use wgrad_nn::Error::{Layer, Op};
        let share = self.trainer.parallel.share(rows);
        let (start, rows) = (self.fit.place.rows + share.start, share.len());
        let batch = self.train.batch(start, rows)?;
        let (batch_size, epoch_rows) = (self.trainer.plan.batch_size, self.fit.epoch_rows);
        let output = (self.forward)(&batch, Mode::Train).map_err(|error| match error {
            // Where it is the short last batch, this may be the reason.
            Error::Model(source @ (Layer { source: Shape { .. }, .. } | Op(Shape { .. })))
                if rows != batch_size.min(epoch_rows) =>
            {
                let (epoch, source) = (self.fit.place.epoch + 1, Box::new(source));
                Error::LastBatch { epoch, rows, batch_size, epoch_rows, source }
            }
            error => error,
        })?;
        let output = output.with_weight_of(rows)?;
        // Predictions are of no other use here, and need not lie there during the backward pass.
        self.trainer.train_metrics.hold(&output)?;
        Ok(Output { judged: None, ..output })
    }
}
