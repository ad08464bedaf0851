//! What the ranks of a fit tell each other: what any of them asks for, and values that they keep alike.

use wgrad_nn::{FlatValues, Parameters};

use super::run::Run;
use super::{Plan, Trainer, WeightAverage};
use crate::Result;

impl<B> Run<'_, '_, B> {
    /// Tells all ranks whether any of them asks for the fit's end, and whether rank 0 wants a checkpoint, which it returns.
    pub(super) fn share_requests(&mut self, wants_checkpoint: bool) -> Result<bool> {
        let plan = &self.trainer.plan;
        let wanted = [plan.interrupt.is_set(), self.fit.stop.is_some(), wants_checkpoint];
        if self.trainer.parallel.is_alone() {
            self.end_is_agreed = wanted[0] || wanted[1];
            return Ok(wants_checkpoint);
        }
        let [interrupted, stopped, checkpoint] =
            self.trainer.parallel.sums(wanted.map(|wanted| f64::from(u8::from(wanted))))?;
        if interrupted > 0.0 {
            plan.interrupt.set();
        }
        if stopped > 0.0 {
            self.fit.stop.get_or_insert_with(|| "another rank asked for the end".to_owned());
        }
        self.end_is_agreed = interrupted + stopped > 0.0;
        Ok(checkpoint > 0.0)
    }

    /// Gives all ranks the same values: rank 0's running estimates, and, where each rank makes its own steps, the average of their
    /// weights and optimizer states. It does so once after a step, whoever asks.
    pub(super) fn synchronize_ranks(&mut self) -> Result<()> {
        let step = self.fit.place.step;
        let Trainer { parallel, parameters, optimizer, average, .. } = &mut *self.trainer;
        if parallel.is_alone() || self.synchronized_at.replace(step) == Some(step) {
            return Ok(());
        }
        if parallel.adds_gradients() {
            return parallel.broadcast_tensors(parameters.buffer_flats());
        }
        let averaged = average.as_ref().and_then(WeightAverage::values);
        let averaged = averaged.map(FlatValues::flats).unwrap_or_default();
        parallel.average_flats(parameters.flats().iter().chain(parameters.buffer_flats()).chain(averaged))?;
        parallel.average_state(&mut **optimizer)
    }
}

impl<B> Trainer<'_, B> {
    /// The options that must be the same on all ranks, because they decide which calls ranks make together, in words.
    pub(super) fn shared_plan(&self) -> String {
        let names = |metrics: &mut dyn Iterator<Item = String>| metrics.collect::<Vec<_>>().join(" ");
        let Plan { epochs, max_steps, non_finite, .. } = &self.plan;
        format!(
            "{epochs} epochs, {max_steps:?} steps, {non_finite:?}, {}, metrics {}, of training {}, matrices {}",
            self.parallel.exchange_options(),
            names(&mut self.metrics.iter().map(|metric| metric.name())),
            names(&mut self.train_metrics.names()),
            self.confusion.is_some(),
        )
    }
}

/// Names and shapes of all parameters and buffers.
pub(super) fn names_and_shapes(parameters: &Parameters) -> String {
    parameters.shapes().map(|(name, shape)| format!("{name} {shape:?}")).collect::<Vec<_>>().join(", ")
}
