//! The loop of a fit.

use std::time::Instant;

use wgrad_data::{Batches, Draw, Order};
use wgrad_nn::Mode;

use super::callback::{Callback, Fit, Moment, Place};
use super::evaluate::figures;
use super::history::{Ended, EpochRecord, History};
use super::late::Late;
use super::state::{Identity, identity};
use super::weights::Weights;
use super::{Average, Plan, Trainer, running};
use crate::progress::Progress;
use crate::{Error, Output, Result};

/// The pool holds what a step needs by then.
const STEPS_MEASURED: usize = 3;

/// A forward pass and a loss.
pub(super) type Forward<'r, B> = &'r mut dyn FnMut(&B, Mode) -> Result<Output>;

pub(super) struct Run<'r, 'a, B> {
    pub trainer: &'r mut Trainer<'a, B>,
    pub train: &'r dyn Batches<Batch = B>,
    pub forward: Forward<'r, B>,
    pub fit: Fit,
    pub late: Late,
    pub progress: Option<Progress>,
    /// Steps whose memory is still to be measured.
    pub to_measure: usize,
    /// Optimizer steps of the whole fit, if none is skipped.
    pub total_steps: u64,
    identity: Identity,
    /// The step at which the last checkpoint was made.
    saved_at: Option<u64>,
}

impl<'r, 'a, B> Run<'r, 'a, B> {
    pub(super) fn new(
        trainer: &'r mut Trainer<'a, B>,
        train: &'r dyn Batches<Batch = B>,
        forward: Forward<'r, B>,
    ) -> Self {
        let plan = &trainer.plan;
        let higher = trainer.metrics.iter().filter(|metric| metric.higher_is_better());
        let fit = Fit {
            parameters: trainer.parameters.clone(),
            place: Place::default(),
            epochs: plan.epochs,
            epoch_rows: train.len(),
            lr: trainer.optimizer.lr(),
            history: History::default(),
            higher: higher.map(|metric| format!("val_{}", metric.name())).collect(),
            validates: trainer.valid.is_some(),
            stop: None,
            failed: false,
            said: Vec::new(),
        };
        let identity = Identity { run: identity(trainer, train.len()), data: train.fingerprint() };
        let batches = train.len().div_ceil(plan.batch_size.max(1));
        let total_steps = (batches.div_ceil(plan.accumulate.max(1)) * plan.epochs) as u64;
        let (late, progress, to_measure) = (Late::default(), None, STEPS_MEASURED);
        Self {
            trainer,
            train,
            forward,
            fit,
            late,
            progress,
            to_measure,
            total_steps,
            identity,
            saved_at: None,
        }
    }

    pub(super) fn run(mut self) -> Result<History> {
        let trained = self.start().and_then(|()| self.epochs()).and_then(|()| self.end());
        self.fit.failed = trained.is_err();
        let ended = self.each(|callback, fit| callback.on_fit_end(fit));
        let finished = self.trainer.loggers.iter_mut().map(|logger| logger.finish());
        // All are told, whatever the first one says.
        let finished = finished.fold(Ok(()), Result::and);
        if let Some(progress) = self.progress.take() {
            progress.clear();
        }
        trained.and(ended).and(finished)?;
        self.hear();
        let interrupted = self.trainer.plan.interrupt.is_set() && self.fit.place.epoch < self.fit.epochs;
        let mut history = self.fit.history;
        history.steps = self.fit.place.step;
        history.skipped = self.fit.place.skipped;
        history.ended = match self.fit.stop {
            Some(reason) => Ended::Stopped(reason),
            None if interrupted => Ended::Interrupted,
            None if self.fit.place.epoch < self.fit.epochs => Ended::MaxSteps,
            None => Ended::Epochs,
        };
        Ok(history)
    }

    /// Checks all options, and goes to where a resumed run stood.
    fn start(&mut self) -> Result<()> {
        let trainer = &mut *self.trainer;
        check(&trainer.plan)?;
        trainer.schedule.as_ref().map_or(Ok(()), |schedule| schedule.check())?;
        let average = |averaging| Average::new(averaging, &trainer.parameters);
        trainer.average = trainer.averaging.map(average).transpose()?;
        if self.train.is_empty() {
            return Err(Error::Usage("the training set is empty: it needs at least one row".to_owned()));
        }
        let mut saved = None;
        for callback in &mut trainer.callbacks {
            if saved.is_none() {
                saved = callback.resume(&mut self.fit)?;
            }
        }
        if let Some(saved) = saved {
            let (place, history) = trainer.load_state(saved, &self.identity, self.train.len())?;
            self.saved_at = Some(place.step);
            (self.fit.place, self.fit.history) = (place, history);
        }
        self.each(|callback, fit| callback.on_fit_start(fit))?;
        let step = self.fit.place.step;
        self.trainer.loggers.iter_mut().try_for_each(|logger| logger.start(step))?;
        self.hear();
        Ok(())
    }

    fn epochs(&mut self) -> Result<()> {
        while self.fit.place.epoch < self.fit.epochs && !self.is_over() {
            self.epoch()?;
        }
        Ok(())
    }

    /// What is done when nothing is left to be trained: the last state, and the averaged weights in the model.
    fn end(&mut self) -> Result<()> {
        self.trainer.parameters.gpu().submit()?;
        if self.saved_at != Some(self.fit.place.step) {
            self.checkpoint(Moment::End)?;
        }
        // The last step's loss is the one before its update. With a checkpoint, saving that has looked already.
        if self.saved_at != Some(self.fit.place.step) && self.fit.place.step > 0 {
            for weights in self.trainer.parameters.flats() {
                if weights.to_vec()?.iter().any(|weight| !weight.is_finite()) {
                    let kept = self.trainer.kept();
                    return Err(Error::WeightNotFinite { step: self.fit.place.step, kept });
                }
            }
        }
        self.use_average()
    }

    /// Whether no other step is to be made.
    pub(super) fn is_over(&self) -> bool {
        let plan = &self.trainer.plan;
        let enough = plan.max_steps.is_some_and(|most| self.fit.place.step >= most);
        enough || plan.interrupt.is_set() || self.fit.stop.is_some()
    }

    /// One epoch, or what is left of it, or less if the fit is over.
    fn epoch(&mut self) -> Result<()> {
        let (plan, place) = (&self.trainer.plan, &self.fit.place);
        let draw = Draw { seed: plan.seed, epoch: place.epoch };
        self.train.set_order(if plan.shuffle { Order::Shuffled(draw) } else { Order::Sequential(draw) })?;
        let label = format!("epoch {}/{}", place.epoch + 1, self.fit.epochs);
        self.progress = Some(Progress::new(plan.progress, label, self.fit.epoch_rows, place.rows));
        let started = Instant::now();
        self.each(|callback, fit| callback.on_epoch_start(fit))?;
        while self.fit.place.rows < self.fit.epoch_rows && !self.is_over() {
            self.step()?;
            self.each(|callback, fit| callback.on_step_end(fit))?;
            if self.fit.place.rows < self.fit.epoch_rows {
                self.checkpoint(Moment::Step)?;
            }
            self.hear();
        }
        self.drain()?;
        if self.fit.place.rows < self.fit.epoch_rows {
            return Ok(());
        }
        let seconds = started.elapsed().as_secs_f64();
        self.epoch_ended(seconds)?;
        self.checkpoint(Moment::Epoch)?;
        let record = self.fit.history.epochs.last();
        if let (Some(progress), Some(record)) = (self.progress.take(), record) {
            progress.finish(&(self.trainer.plan.line)(record, self.fit.epochs));
        }
        self.hear();
        Ok(())
    }

    /// Validates, and tells everybody the epoch's figures.
    fn epoch_ended(&mut self, seconds: f64) -> Result<()> {
        let (trainer, fit) = (&mut *self.trainer, &mut self.fit);
        let mut known = fit.place.means.figures("train_");
        let epoch = fit.place.epoch + 1;
        trainer.average.as_mut().map_or(Ok(()), |average| average.epoch_ended(epoch, &trainer.parameters))?;
        fit.place = Place { epoch, rows: 0, means: Default::default(), ..std::mem::take(&mut fit.place) };
        self.with_average(|run| {
            known.extend(run.validate()?);
            known.push(("lr".to_owned(), run.fit.lr));
            known.push(("seconds".to_owned(), seconds));
            let record = EpochRecord { epoch, step: run.fit.place.step, figures: known };
            run.fit.history.epochs.push(record);
            run.each(|callback, fit| callback.on_validation_end(fit))
        })?;
        let figures = self.fit.history.epochs.last().map(|record| record.figures.clone()).unwrap_or_default();
        let schedule = self.trainer.schedule.as_mut();
        schedule.map_or(Ok(()), |schedule| schedule.observe(&figures))?;
        let named = figures.iter().map(|(name, value)| (name.as_str(), *value));
        let all: Vec<(&str, f64)> = [("epoch", epoch as f64)].into_iter().chain(named).collect();
        self.log(self.fit.place.step, &all)?;
        self.each(|callback, fit| callback.on_epoch_end(fit))
    }

    fn validate(&mut self) -> Result<Vec<(String, f64)>> {
        let Some(valid) = &self.trainer.valid else { return Ok(Vec::new()) };
        let metrics: Vec<_> = self.trainer.metrics.iter().map(|metric| &**metric).collect();
        let figures = figures(&**valid, self.trainer.plan.batch_size, &metrics, self.forward)?;
        Ok(figures.into_iter().map(|(name, value)| (format!("val_{name}"), value)).collect())
    }

    /// Calls `f` with the averaged weights in the model, if there are any, and puts the raw ones back, also if it fails.
    fn with_average<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.trainer.average.as_ref().and_then(Average::values).is_none() {
            return f(self);
        }
        let raw = Weights::of(&self.trainer.parameters)?;
        let result = self.use_average().and_then(|()| f(self));
        let restored = raw.restore();
        result.and_then(|value| restored.map(|()| value))
    }

    /// Puts the averaged weights into the model, with running values that belong to them.
    fn use_average(&mut self) -> Result<()> {
        let Some(average) = &self.trainer.average else { return Ok(()) };
        let Some(values) = average.values() else { return Ok(()) };
        let parameters = &self.trainer.parameters;
        parameters.values().assign(values)?;
        if average.needs_running_values() {
            running::renew(parameters, self.train, self.trainer.plan.batch_size, self.forward)?;
        }
        Ok(())
    }

    /// Makes the state and gives it to the callbacks that want it now.
    fn checkpoint(&mut self, moment: Moment) -> Result<()> {
        let fit = &self.fit;
        let wanted: Vec<bool> = self
            .trainer
            .callbacks
            .iter_mut()
            .map(|callback| callback.wants_checkpoint(fit, moment))
            .collect();
        if !wanted.contains(&true) {
            return Ok(());
        }
        self.drain()?;
        let state = self.trainer.to_state(&self.fit.place, &self.fit.history, &self.identity)?;
        self.saved_at = Some(self.fit.place.step);
        let callbacks = self.trainer.callbacks.iter_mut().zip(wanted).filter(|(_, wanted)| *wanted);
        for (callback, _) in callbacks {
            callback.on_checkpoint(&mut self.fit, &state)?;
        }
        Ok(())
    }

    /// Waits for all losses under way.
    fn drain(&mut self) -> Result<()> {
        while let Some(step) = self.late.next() {
            self.arrived(step)?;
        }
        Ok(())
    }

    /// Calls all callbacks; those behind one that fails are called too.
    fn each(&mut self, mut f: impl FnMut(&mut dyn Callback, &mut Fit) -> Result<()>) -> Result<()> {
        let fit = &mut self.fit;
        let results = self.trainer.callbacks.iter_mut().map(|callback| f(&mut **callback, fit));
        results.fold(Ok(()), Result::and)
    }

    pub(super) fn log(&mut self, step: u64, values: &[(&str, f64)]) -> Result<()> {
        self.trainer.loggers.iter_mut().try_for_each(|logger| logger.log(step, values))
    }

    /// Shows what callbacks said.
    fn hear(&mut self) {
        for text in std::mem::take(&mut self.fit.said) {
            if self.trainer.plan.progress {
                crate::progress::say(&text);
            }
            self.fit.history.messages.push(text);
        }
    }
}

/// Fails for options that make no sense.
fn check(plan: &Plan) -> Result<()> {
    let message = if plan.batch_size == 0 {
        "a batch size of 0: a batch needs at least one row"
    } else if plan.accumulate == 0 {
        "0 batches a step: a step needs at least one"
    } else if [plan.clip_norm, plan.clip_value].iter().flatten().any(|most| !(*most >= 0.0)) {
        "gradients clipped to a bound below 0 or NaN: it is at least 0"
    } else {
        return Ok(());
    };
    Err(Error::Usage(message.to_owned()))
}
