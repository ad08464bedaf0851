//! One optimizer step: its batches, their gradient, and what comes of it.

use wgrad_autograd::Tensor;
use wgrad_autograd::device::Pending;
use wgrad_nn::Gradients;

use super::NonFinite;
use super::memory::Measuring;
use super::pending::{LOSS, PendingStep, StepResult};
use super::run::Run;
use super::weights::Buffers;
use crate::{Error, Result};

impl<B> Run<'_, '_, B> {
    /// Records and submits one step.
    pub(super) fn step(&mut self) -> Result<()> {
        let parameters = self.trainer.parameters.clone();
        let mut measuring =
            (self.to_measure > 0).then(|| Measuring::start(&parameters, &*self.trainer.optimizer));
        let before = self.fit.place.rows;
        // What the forward pass changes, for a step that is skipped.
        let may_skip = self.trainer.plan.non_finite == NonFinite::Skip;
        let buffers = may_skip.then(|| Buffers::of(&parameters)).transpose()?;
        let (gradients, batches) = self.gradients(&mut measuring)?;
        let scheduled = self.trainer.rates.lr(self.fit.place.step);
        let lr = scheduled.unwrap_or_else(|| self.trainer.optimizer.lr());
        let Some(mut gradients) = gradients else { return self.skip(before, buffers, None) };
        self.for_each_callback(|callback, fit| callback.on_before_optimizer_step(fit, &mut gradients))?;
        let norm = self.clip(&mut gradients)?;
        let mut step = PendingStep { number: self.fit.place.step + 1, lr, norm: None, batches };
        let mut known = None;
        match (self.trainer.plan.non_finite, norm) {
            (NonFinite::Skip, norm) => {
                step.norm = norm.map(|norm| norm.read_later()).transpose()?;
                let mut means = self.fit.place.means.clone();
                let arrived = step.wait(&mut means, &self.trainer.parallel)?;
                if self.trainer.parallel.any(!arrived.is_finite())? {
                    return self.skip(before, buffers, Some(arrived));
                }
                self.fit.place.means = means;
                known = Some(arrived);
            }
            (NonFinite::Stop, Some(norm)) => {
                step.norm = Some(self.checked(&norm, step.number)?);
                self.pending.push(step);
            }
            (_, norm) => {
                step.norm = norm.map(|norm| norm.read_later()).transpose()?;
                self.pending.push(step);
            }
        }
        self.trainer.train_metrics.count_held(&self.trainer.parallel)?;
        self.apply(&gradients, lr, scheduled.is_some())?;
        if self.trainer.parallel.average_every.is_some_and(|steps| self.fit.place.step.is_multiple_of(steps))
        {
            self.synchronize_ranks()?;
        }
        parameters.gpu().submit()?;
        if let Some(measuring) = measuring {
            self.fit.history.memory = measuring.step_done(parameters.gpu());
            self.to_measure -= 1;
        }
        self.advance(before);
        known.map_or(Ok(()), |arrived| self.report(&arrived))?;
        while let Some(step) = self.pending.overdue() {
            self.finish_step(step)?;
        }
        Ok(())
    }

    /// Clips the gradient, and gives the norm that it had, where somebody looks at it.
    fn clip(&self, gradients: &mut Gradients) -> Result<Option<Tensor>> {
        let plan = &self.trainer.plan;
        // An infinite value has a bound after clipping, and would go unseen.
        let looks_first =
            plan.clip_value.is_some() || plan.clip_norm.is_none() && plan.non_finite == NonFinite::Skip;
        let mut norm = looks_first.then(|| gradients.global_norm()).transpose()?;
        if let Some(most) = plan.clip_value {
            gradients.clip_value(most)?;
        }
        if let Some(most) = plan.clip_norm {
            let clipped = gradients.clip_norm(most)?;
            norm.get_or_insert(clipped);
        }
        Ok(norm)
    }

    /// Waits for the norm, which must be finite; gives it to be read again with the losses.
    fn checked(&self, norm: &Tensor, step: u64) -> Result<Pending<f32>> {
        let value = norm.item()?;
        if !value.is_finite() {
            return Err(Error::GradientNotFinite { step, norm: value, kept: self.trainer.kept() });
        }
        Ok(norm.read_later()?)
    }

    fn apply(&mut self, gradients: &Gradients, lr: f64, is_scheduled: bool) -> Result<()> {
        let trainer = &mut *self.trainer;
        if is_scheduled {
            trainer.optimizer.set_lr(lr);
        }
        trainer.optimizer.step(gradients)?;
        trainer.parallel.broadcast_stepped(&trainer.parameters)?;
        trainer.average.as_mut().map_or(Ok(()), |average| average.step_made(&trainer.parameters))?;
        self.fit.place.step += 1;
        self.fit.lr = lr;
        Ok(())
    }

    fn advance(&self, before: usize) {
        if let Some(progress) = &self.progress {
            progress.advance(self.fit.place.rows - before);
        }
    }

    /// Leaves everything but the place in the epoch as it was, and logs it. Of a step that is left out because nothing counts in it, under
    /// another policy than `Skip`, running estimates have moved all the same.
    fn skip(&mut self, before: usize, buffers: Option<Buffers>, arrived: Option<StepResult>) -> Result<()> {
        self.fit.place.skipped += 1;
        self.advance(before);
        // Those before are logged before.
        self.wait_for_losses()?;
        match buffers {
            Some(buffers) => buffers.restore()?,
            None => self.synchronized_at = None,
        }
        self.trainer.train_metrics.discard_held();
        let step = self.fit.place.step;
        let mut values = vec![("skipped", self.fit.place.skipped as f64)];
        if let Some(arrived) = &arrived {
            values.push(("loss", arrived.means.mean(LOSS)));
            values.extend(arrived.norm.map(|norm| ("grad_norm", f64::from(norm))));
        }
        self.log(step, &values)
    }

    /// Waits for the losses of a step.
    pub(super) fn finish_step(&mut self, step: PendingStep) -> Result<()> {
        let arrived = step.wait(&mut self.fit.place.means, &self.trainer.parallel)?;
        self.report(&arrived)
    }

    /// Logs a step, and fails for a loss or a norm that is not finite.
    fn report(&mut self, arrived: &StepResult) -> Result<()> {
        let StepResult { number: step, lr, norm, means } = arrived;
        let figures = means.figures("");
        let mut values: Vec<(&str, f64)> =
            figures.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        values.push(("lr", *lr));
        values.extend(norm.map(|norm| ("grad_norm", f64::from(norm))));
        self.log(*step, &values)?;
        let loss = means.mean(LOSS) as f32;
        if !loss.is_finite() {
            return Err(Error::NotFinite { step: *step, loss, kept: self.trainer.kept() });
        }
        if let Some(norm) = norm.filter(|norm| !norm.is_finite()) {
            return Err(Error::GradientNotFinite { step: *step, norm, kept: self.trainer.kept() });
        }
        if let Some(progress) = &self.progress {
            progress.loss(loss);
        }
        Ok(())
    }
}
