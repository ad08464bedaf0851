//! The loop of a fit.

use wgrad_data::Batches;
use wgrad_distributed::{agree, same_everywhere};
use wgrad_nn::{Mode, StateDict};

use super::callback::{Callback, Fit, Moment, Place, Saved};
use super::history::{Ended, History};
use super::pending::PendingSteps;
use super::progress::{Progress, print_line};
use super::ranks::names_and_shapes;
use super::state::{Identity, check_names, identity};
use super::{Plan, Trainer, WeightAverage};
use crate::{Error, Logger, Output, Result};

/// The pool holds what a step needs by then.
const STEPS_MEASURED: usize = 3;

/// A forward pass and a loss.
pub(super) type Forward<'r, B> = &'r mut dyn FnMut(&B, Mode) -> Result<Output>;

pub(super) struct Run<'r, 'a, B> {
    pub trainer: &'r mut Trainer<'a, B>,
    pub train: &'r dyn Batches<Batch = B>,
    pub forward: Forward<'r, B>,
    pub fit: Fit,
    pub pending: PendingSteps,
    pub progress: Option<Progress>,
    /// Steps whose memory is still to be measured.
    pub to_measure: usize,
    /// Optimizer steps of the whole fit, if none is skipped.
    pub total_steps: u64,
    identity: Identity,
    /// The step at which the last checkpoint was made.
    saved_at: Option<u64>,
    /// The step after which ranks were last synchronized.
    pub(super) synchronized_at: Option<u64>,
    /// Whether all ranks know that one of them asked for the end.
    pub(super) end_is_agreed: bool,
}

impl<'r, 'a, B> Run<'r, 'a, B> {
    pub(super) fn new(
        trainer: &'r mut Trainer<'a, B>,
        train: &'r dyn Batches<Batch = B>,
        forward: Forward<'r, B>,
    ) -> Self {
        let plan = &trainer.plan;
        let higher = trainer.metrics.iter().filter(|metric| metric.higher_is_better());
        let higher = higher.map(|metric| format!("val_{}", metric.name()));
        let epoch_rows = plan.epoch_rows(train.len(), &trainer.parallel);
        let fit = Fit {
            parameters: trainer.parameters.clone(),
            place: Place::default(),
            epochs: plan.epochs,
            epoch_rows,
            lr: trainer.optimizer.lr(),
            history: History::default(),
            higher: higher.chain(trainer.train_metrics.higher()).collect(),
            validates: trainer.valid.is_some(),
            stop: None,
            failed: false,
            messages: Vec::new(),
        };
        let batches = trainer.parallel.batches(train.len(), plan.batch_size, plan.drop_last);
        let total_steps = batches.div_ceil(plan.accumulate.max(1)).saturating_mul(plan.epochs) as u64;
        let (pending, progress, to_measure) = (PendingSteps::default(), None, STEPS_MEASURED);
        Self {
            trainer,
            train,
            forward,
            fit,
            pending,
            progress,
            to_measure,
            total_steps,
            identity: Identity::default(),
            saved_at: None,
            synchronized_at: None,
            end_is_agreed: false,
        }
    }

    pub(super) fn run(mut self) -> Result<History> {
        let trained = self.start().and_then(|()| self.epochs()).and_then(|()| self.finish());
        // What else is drawn is the same on all ranks.
        self.trainer.parameters.set_random_stream(0);
        self.fit.failed = trained.is_err();
        let ended = self.for_each_callback(|callback, fit| callback.on_fit_end(fit));
        let finished = self.loggers().map(|logger| logger.finish());
        // All are told, whatever the first one says.
        let finished = finished.fold(Ok(()), Result::and);
        if let Some(progress) = self.progress.take() {
            progress.clear();
        }
        self.show_messages();
        trained.and(ended).and(finished)?;
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
        if !trainer.callbacks.is_empty() {
            check_names(&trainer.parameters)?;
        }
        trainer.rates.start(self.total_steps)?;
        trainer.rates.figure().map_or(Ok(()), |figure| self.fit.check_figure(figure))?;
        if trainer.confusion.is_some() && trainer.valid.is_none() {
            let message = "a confusion matrix is of validation rows: give the trainer a validation set";
            return Err(Error::Usage(message.to_owned()));
        }
        self.identity = Identity { run: identity(trainer, self.train.len()), data: self.train.fingerprint() };
        trainer.plan.check_rows(self.train.len(), &trainer.parallel)?;
        trainer.train_metrics.start();
        trainer.parallel.check()?;
        same_everywhere(
            &*trainer.parallel.ranks,
            &[
                ("build", env!("CARGO_PKG_VERSION")),
                ("run", &self.identity.run),
                ("configuration", &trainer.plan.config),
                ("data", &self.identity.data),
                ("validation data", &trainer.valid.as_ref().map(|set| set.fingerprint()).unwrap_or_default()),
                ("plan", &trainer.shared_plan()),
                ("model", &names_and_shapes(&trainer.parameters)),
            ],
        )?;
        // Before an average begins as the weights.
        trainer.parallel.broadcast_parameters(&trainer.parameters)?;
        let average = |averaging| WeightAverage::new(averaging, &trainer.parameters);
        trainer.average = trainer.averaging.map(average).transpose()?;
        let saved = self.saved_state();
        let trainer = &mut *self.trainer;
        let saved = agree(&*trainer.parallel.ranks, saved)?;
        if let Some(saved) = trainer.parallel.broadcast_saved(saved)? {
            let loaded = trainer.load_state(saved, &self.identity, self.fit.epoch_rows);
            let (place, history) = agree(&*trainer.parallel.ranks, loaded)?;
            self.saved_at = Some(place.step);
            (self.fit.place, self.fit.history) = (place, history);
        }
        trainer.parallel.shard_state(&trainer.parameters, &mut *trainer.optimizer)?;
        trainer.parameters.set_random_stream(trainer.parallel.rank() as u32);
        self.for_each_callback(|callback, fit| callback.on_fit_start(fit))?;
        let step = self.fit.place.step;
        self.loggers().try_for_each(|logger| logger.start(step))?;
        self.show_messages();
        self.share_requests(false).map(|_| ())
    }

    /// The state to continue from, which rank 0 knows.
    fn saved_state(&mut self) -> Result<Option<Saved>> {
        if !self.trainer.parallel.is_first() {
            return Ok(None);
        }
        let mut first = None;
        // All are asked: each takes its folder by this.
        for callback in &mut self.trainer.callbacks {
            let saved = callback.resume(&mut self.fit)?;
            first = first.or(saved);
        }
        Ok(first)
    }

    /// Those that log here: rank 0's.
    fn loggers(&mut self) -> impl Iterator<Item = &mut Box<dyn Logger + 'a>> {
        let count = if self.trainer.parallel.is_first() { self.trainer.loggers.len() } else { 0 };
        self.trainer.loggers.iter_mut().take(count)
    }

    fn epochs(&mut self) -> Result<()> {
        while self.fit.place.epoch < self.fit.epochs && !self.is_over() {
            self.epoch()?;
        }
        Ok(())
    }

    /// Makes the last checkpoint, looks for weights that are not finite, and puts the averaged weights into the model.
    fn finish(&mut self) -> Result<()> {
        self.synchronize_ranks()?;
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
        let asked = plan.interrupt.is_set() || self.fit.stop.is_some();
        // What one of several ranks wants counts once all know of it.
        enough || self.end_is_agreed || self.trainer.parallel.is_alone() && asked
    }

    /// Makes the state and gives it to the callbacks that want it now.
    pub(super) fn checkpoint(&mut self, moment: Moment) -> Result<()> {
        let is_first = self.trainer.parallel.is_first();
        let callbacks = self.trainer.callbacks.iter_mut();
        let wanted: Vec<bool> =
            callbacks.map(|callback| is_first && callback.wants_checkpoint(&self.fit, moment)).collect();
        let is_due = self.share_requests(wanted.contains(&true))?;
        let (every, step) = (self.trainer.parallel.check_every, self.fit.place.step);
        let is_checked = self.trainer.parallel.adds_gradients() && every > 0 && step.is_multiple_of(every);
        if is_due {
            self.wait_for_losses()?;
            self.synchronize_ranks()?;
        }
        if is_due || is_checked {
            self.trainer.parallel.check_weights(&self.trainer.parameters, step, is_due)?;
        }
        if !is_due {
            return Ok(());
        }
        self.saved_at = Some(step);
        let optimizer = self.trainer.parallel.optimizer_state(&*self.trainer.optimizer)?;
        let written = if is_first { self.write(&wanted, optimizer) } else { Ok(()) };
        agree(&*self.trainer.parallel.ranks, written)
    }

    fn write(&mut self, wanted: &[bool], optimizer: StateDict) -> Result<()> {
        let state = self.trainer.make_state(&self.fit.place, &self.fit.history, &self.identity, optimizer)?;
        let callbacks = self.trainer.callbacks.iter_mut().zip(wanted).filter(|(_, wanted)| **wanted);
        for (callback, _) in callbacks {
            callback.on_checkpoint(&mut self.fit, &state)?;
        }
        Ok(())
    }

    /// Waits for all losses under way.
    pub(super) fn wait_for_losses(&mut self) -> Result<()> {
        while let Some(step) = self.pending.next() {
            self.finish_step(step)?;
        }
        Ok(())
    }

    /// Calls all callbacks; those behind one that fails are called too.
    pub(super) fn for_each_callback(
        &mut self,
        mut f: impl FnMut(&mut dyn Callback, &mut Fit) -> Result<()>,
    ) -> Result<()> {
        let fit = &mut self.fit;
        let results = self.trainer.callbacks.iter_mut().map(|callback| f(&mut **callback, fit));
        results.fold(Ok(()), Result::and)
    }

    pub(super) fn log(&mut self, step: u64, values: &[(&str, f64)]) -> Result<()> {
        self.loggers().try_for_each(|logger| logger.log(step, values))
    }

    /// Shows what callbacks have to say.
    pub(super) fn show_messages(&mut self) {
        for text in std::mem::take(&mut self.fit.messages) {
            if self.trainer.plan.progress && self.trainer.parallel.is_first() {
                print_line(&text);
            }
            self.trainer.callbacks.iter_mut().for_each(|callback| callback.on_message(&text));
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
    } else if [plan.clip_norm, plan.clip_value].iter().flatten().any(|most| most.is_nan() || *most < 0.0) {
        "gradients clipped to a bound below 0 or NaN: it is at least 0"
    } else {
        return Ok(());
    };
    Err(Error::Usage(message.to_owned()))
}
