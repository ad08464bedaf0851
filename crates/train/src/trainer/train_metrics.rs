//! Metrics of the training rows, counted as the steps of an epoch judge them.

use wgrad_autograd::{Gpu, Tensor};
use wgrad_nn::StateDict;

use super::evaluate::no_predictions;
use super::state::{keys, part};
use crate::parallel::{DataParallel, RowsToGather};
use crate::{Accumulator, Metric, Output, Result};

/// The metrics, and what they have counted of the current epoch.
#[derive(Default)]
pub(crate) struct TrainMetrics<'a> {
    metrics: Vec<Box<dyn Metric + 'a>>,
    running: Vec<Running>,
    /// Predictions and targets of the step under way, which may yet be skipped.
    held: Vec<(Tensor, Tensor)>,
}

struct Running {
    accumulator: Box<dyn Accumulator>,
    /// Whether it has seen all rows of the epoch so far, those before a resumption included.
    is_whole: bool,
}

impl<'a> TrainMetrics<'a> {
    pub(crate) fn add(&mut self, metric: impl Metric + 'a) {
        self.metrics.push(Box::new(metric));
    }

    /// Names of figures of which a larger value is better.
    pub(crate) fn higher(&self) -> impl Iterator<Item = String> {
        let higher = self.metrics.iter().filter(|metric| metric.higher_is_better());
        higher.map(|metric| format!("train_{}", metric.name()))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.metrics.iter().map(|metric| metric.name())
    }

    /// Begins an epoch.
    pub(crate) fn start(&mut self) {
        let accumulators = self.metrics.iter().map(|metric| metric.accumulator());
        self.running = accumulators.map(|accumulator| Running { accumulator, is_whole: true }).collect();
        self.discard_held();
    }

    /// Holds the predictions of a batch until it is known whether its step is made.
    pub(crate) fn hold(&mut self, output: &Output) -> Result<()> {
        if !self.metrics.is_empty() {
            self.held.push(output.judged.clone().ok_or_else(no_predictions)?);
        }
        Ok(())
    }

    /// Counts the predictions that are held, of all ranks, which wait for each other's.
    pub(crate) fn count_held(&mut self, parallel: &DataParallel) -> Result<()> {
        for (mut prediction, mut target) in self.held.drain(..) {
            if !parallel.is_alone() {
                let sent = [RowsToGather::new(&prediction)?, RowsToGather::new(&target)?];
                let [predictions, targets] = sent.map(|sent| sent.gather(parallel));
                (prediction, target) = (predictions?, targets?);
            }
            self.running
                .iter_mut()
                .try_for_each(|running| running.accumulator.update(&prediction, &target))?;
        }
        Ok(())
    }

    /// Drops the predictions that are held: their step was skipped.
    pub(crate) fn discard_held(&mut self) {
        self.held.clear();
    }

    /// The figures of the epoch, which ends.
    pub(crate) fn finish(&mut self) -> Result<Vec<(String, f64)>> {
        let mut figures = Vec::new();
        for (metric, running) in self.metrics.iter().zip(&mut self.running) {
            let value = running.accumulator.compute()?;
            figures
                .push((format!("train_{}", metric.name()), if running.is_whole { value } else { f64::NAN }));
        }
        self.start();
        Ok(figures)
    }

    fn keys(&self) -> Vec<String> {
        let names: Vec<String> = self.metrics.iter().map(|metric| metric.name()).collect();
        keys(names.iter().map(String::as_str))
    }

    /// What was counted of the epoch so far.
    pub(crate) fn save_state(&mut self) -> Result<StateDict> {
        let mut state = StateDict::default();
        for (key, running) in self.keys().into_iter().zip(&mut self.running) {
            let Some(own) = running.accumulator.save_state()?.filter(|_| running.is_whole) else { continue };
            state
                .tensors
                .extend(own.tensors.into_iter().map(|(name, values)| (format!("{key}.{name}"), values)));
            state
                .metadata
                .extend(own.metadata.into_iter().map(|(name, text)| (format!("{key}.{name}"), text)));
            state.metadata.insert(key, "kept".to_owned());
        }
        Ok(state)
    }

    /// Goes on from what was counted. A metric of which nothing was kept has not seen the whole epoch.
    pub(crate) fn load_state(&mut self, gpu: &Gpu, mut state: StateDict) -> Result<()> {
        for (key, running) in self.keys().into_iter().zip(&mut self.running) {
            running.is_whole = state.metadata.contains_key(&key);
            if running.is_whole {
                let prefix = format!("{key}.");
                running.accumulator.load_state(gpu, &part(&mut state, [&prefix, &prefix]))?;
            }
        }
        Ok(())
    }
}
