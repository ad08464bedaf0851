//! One epoch: its steps, its validation, and what everybody is told of it.

use std::time::Instant;

use wgrad_data::{Draw, Order};

use super::callback::{Moment, Place};
use super::confusion::Confusion;
use super::evaluate::figures;
use super::history::EpochRecord;
use super::progress::Progress;
use super::run::Run;
use super::weights::Weights;
use super::{WeightAverage, running};
use crate::metrics::ConfusionMatrix;
use crate::{Metric, Result};

/// Figures by name, and the matrix where one is asked for.
type Validated = (Vec<(String, f64)>, Option<ConfusionMatrix>);

impl<B> Run<'_, '_, B> {
    /// One epoch, or what is left of it, or less if the fit is over.
    pub(super) fn epoch(&mut self) -> Result<()> {
        let (plan, place) = (&self.trainer.plan, &self.fit.place);
        let draw = Draw { seed: plan.seed, epoch: place.epoch };
        self.train.set_order(if plan.shuffle { Order::Shuffled(draw) } else { Order::Sequential(draw) })?;
        let label = format!("epoch {}/{}", place.epoch + 1, self.fit.epochs);
        let shown = plan.progress && self.trainer.parallel.is_first();
        self.progress = Some(Progress::new(shown, label, self.fit.epoch_rows, place.rows));
        let started = Instant::now();
        self.for_each_callback(|callback, fit| callback.on_epoch_start(fit))?;
        while self.fit.place.rows < self.fit.epoch_rows && !self.is_over() {
            self.for_each_callback(|callback, fit| callback.on_step_start(fit))?;
            self.step()?;
            self.for_each_callback(|callback, fit| callback.on_step_end(fit))?;
            if self.fit.place.rows < self.fit.epoch_rows {
                self.checkpoint(Moment::Step)?;
            }
            self.show_messages();
        }
        self.wait_for_losses()?;
        if self.fit.place.rows < self.fit.epoch_rows {
            return Ok(());
        }
        // One figure, so that nothing is decided by ranks apart.
        let own = if self.trainer.parallel.is_first() { started.elapsed().as_secs_f64() } else { 0.0 };
        let [seconds] = self.trainer.parallel.sums([own])?;
        self.epoch_ended(seconds)?;
        self.checkpoint(Moment::Epoch)?;
        let record = self.fit.history.epochs.last();
        if let (Some(progress), Some(record)) = (self.progress.take(), record) {
            progress.finish(&(self.trainer.plan.line)(record, self.fit.epochs));
        }
        self.show_messages();
        Ok(())
    }

    /// Validates, and tells everybody the epoch's figures.
    fn epoch_ended(&mut self, seconds: f64) -> Result<()> {
        self.synchronize_ranks()?;
        let (trainer, fit) = (&mut *self.trainer, &mut self.fit);
        let mut known = fit.place.means.figures("train_");
        known.extend(trainer.train_metrics.finish()?);
        let epoch = fit.place.epoch + 1;
        trainer.average.as_mut().map_or(Ok(()), |average| average.epoch_ended(epoch, &trainer.parameters))?;
        fit.place = Place { epoch, rows: 0, means: Default::default(), ..std::mem::take(&mut fit.place) };
        self.with_average(|run| {
            run.for_each_callback(|callback, fit| callback.on_validation_start(fit))?;
            let (figures, confusion) = run.validate()?;
            known.extend(figures);
            known.push(("lr".to_owned(), run.fit.lr));
            known.push(("seconds".to_owned(), seconds));
            let record = EpochRecord { epoch, step: run.fit.place.step, figures: known, confusion };
            run.fit.history.epochs.push(record);
            run.for_each_callback(|callback, fit| callback.on_validation_end(fit))
        })?;
        let figures = self.fit.history.epochs.last().map(|record| record.figures.clone()).unwrap_or_default();
        let figure = self.trainer.rates.figure().map(|figure| self.fit.figure(figure)).transpose()?;
        figure.into_iter().for_each(|value| self.trainer.rates.observe(value));
        let named = figures.iter().map(|(name, value)| (name.as_str(), *value));
        let all: Vec<(&str, f64)> = [("epoch", epoch as f64)].into_iter().chain(named).collect();
        self.log(self.fit.place.step, &all)?;
        self.for_each_callback(|callback, fit| callback.on_epoch_end(fit))
    }

    fn validate(&mut self) -> Result<Validated> {
        let Some(valid) = &self.trainer.valid else { return Ok((Vec::new(), None)) };
        let mut metrics: Vec<&dyn Metric> = self.trainer.metrics.iter().map(|metric| &**metric).collect();
        let confusion = self.trainer.confusion.as_ref();
        metrics.extend(confusion.map(|confusion| confusion as &dyn Metric));
        let (batch_size, parallel) = (self.trainer.plan.batch_size, &self.trainer.parallel);
        let mut figures = figures(&**valid, batch_size, &metrics, parallel, self.forward)?;
        // The matrix is the last, and no figure.
        figures.truncate(figures.len() - usize::from(confusion.is_some()));
        let figures = figures.into_iter().map(|(name, value)| (format!("val_{name}"), value)).collect();
        Ok((figures, confusion.and_then(Confusion::take)))
    }

    /// Calls `f` with the averaged weights in the model, if there are any, and puts the raw ones back, also if it fails.
    fn with_average<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.trainer.average.as_ref().and_then(WeightAverage::values).is_none() {
            return f(self);
        }
        let raw = Weights::of(&self.trainer.parameters)?;
        let result = self.use_average().and_then(|()| f(self));
        let restored = raw.restore();
        result.and_then(|value| restored.map(|()| value))
    }

    /// Puts the averaged weights into the model, with running values that belong to them.
    pub(super) fn use_average(&mut self) -> Result<()> {
        let Some(average) = &self.trainer.average else { return Ok(()) };
        let Some(values) = average.values() else { return Ok(()) };
        let parameters = &self.trainer.parameters;
        parameters.values().assign(values)?;
        if average.needs_running_values() {
            running::recompute(
                parameters,
                self.train,
                [self.fit.epoch_rows, self.trainer.plan.batch_size],
                self.forward,
            )?;
            // Ranks drop elements of their own, before batch norm too.
            self.trainer.parallel.broadcast_tensors(parameters.buffer_flats())?;
        }
        Ok(())
    }
}
