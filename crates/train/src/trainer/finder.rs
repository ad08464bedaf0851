//! [`LrFinder`]: which learning rate a model takes.

use wgrad_data::{Batches, Draw, Order};
use wgrad_nn::Mode;

use super::Trainer;
use super::weights::Weights;
use crate::{DataParallel, Error, Output, Result};

/// A search for a learning rate: steps whose rate grows from one to the next by the same factor. Counterpart: Lightning's
/// `lr_find`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LrFinder {
    /// The first rate.
    pub from: f64,
    /// The last rate.
    pub to: f64,
    /// Steps at most; the search ends early when the loss is over four times its best, where that is above 0, or no number.
    pub steps: usize,
}

impl Default for LrFinder {
    /// 100 steps from 1e-7 to 1.
    fn default() -> Self {
        Self { from: 1e-7, to: 1.0, steps: 100 }
    }
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LrSearch {
    /// Learning rate and loss of each step.
    pub points: Vec<(f64, f64)>,
}

impl LrSearch {
    /// The rate at which the smoothed loss fell most steeply over the logarithm of the rate; `None` where it never fell.
    pub fn suggestion(&self) -> Option<f64> {
        const KEPT: f64 = 0.7;
        let (mut mean, mut smoothed) = (0.0, Vec::new());
        for (i, (_, loss)) in self.points.iter().enumerate() {
            mean = KEPT * mean + (1.0 - KEPT) * loss;
            smoothed.push(mean / (1.0 - KEPT.powi(i as i32 + 1)));
        }
        let slopes = smoothed.windows(2).enumerate().map(|(i, pair)| (pair[1] - pair[0], self.points[i].0));
        let steepest = slopes.filter(|(slope, _)| *slope < 0.0).min_by(|a, b| a.0.total_cmp(&b.0));
        steepest.map(|(_, lr)| lr)
    }
}

impl<B> Trainer<'_, B> {
    /// Makes steps of growing learning rates on `train`, of a batch each and without callbacks, and leaves everything as it was to
    /// the bit, also if it fails: weights, buffers, the optimizer and its rate, and random draws.
    ///
    /// # Errors
    /// [`Error::Usage`] for rates that are not above 0 and growing or under two steps, and what [`Trainer::fit`] reports.
    pub fn find_lr<O: Into<Output>>(
        &mut self,
        train: &(impl Batches<Batch = B> + ?Sized),
        finder: LrFinder,
        mut forward: impl FnMut(&B, Mode) -> Result<O>,
    ) -> Result<LrSearch> {
        let LrFinder { from, to, steps } = finder;
        if !(from > 0.0 && to > from && to.is_finite()) || steps < 2 || self.plan.batch_size == 0 {
            let message = format!("{finder:?}: rates are above 0 and growing, in at least two steps");
            return Err(Error::Usage(message));
        }
        self.plan.check_rows(train.len(), &DataParallel::solo())?;
        if !self.optimizer.state().kept().iter().all(|&kept| kept) {
            let message =
                "the optimizer keeps a share of its state only: look for a rate before ranks share it";
            return Err(Error::Usage(message.to_owned()));
        }
        let weights = Weights::of(&self.parameters)?;
        let state = self.optimizer.state().to_state_dict()?;
        let (lr, draws) = (self.optimizer.lr(), self.parameters.draws());
        let found =
            self.search(&super::ByRef(train), finder, &mut |batch, mode| Ok(forward(batch, mode)?.into()));
        self.parameters.set_draws(draws);
        self.optimizer.set_lr(lr);
        let restored = weights.restore();
        let loaded = self.optimizer.state_mut().load_state_dict(&state, "the optimizer's state");
        let found = found?;
        restored?;
        loaded?;
        Ok(found)
    }

    fn search(
        &mut self,
        train: &dyn Batches<Batch = B>,
        LrFinder { from, to, steps }: LrFinder,
        forward: super::run::Forward<'_, B>,
    ) -> Result<LrSearch> {
        let (mut search, mut best) = (LrSearch::default(), f64::INFINITY);
        let all = self.plan.epoch_rows(train.len(), &DataParallel::solo());
        let (mut start, mut epoch) = (all, 0);
        for step in 0..steps {
            if start >= all {
                train.set_order(Order::Shuffled(Draw { seed: self.plan.seed, epoch }))?;
                (start, epoch) = (0, epoch + 1);
            }
            let rows = self.plan.batch_size.min(all - start);
            let output = forward(&train.batch(start, rows)?, Mode::Train)?;
            start += rows;
            let loss = f64::from(output.loss.item()?);
            if !loss.is_finite() || (best > 0.0 && loss > 4.0 * best) {
                break;
            }
            best = best.min(loss);
            let lr = from * (to / from).powf(step as f64 / (steps - 1) as f64);
            search.points.push((lr, loss));
            let mut gradients = self.parameters.gradients(&output.loss)?;
            if let Some(most) = self.plan.clip_value {
                gradients.clip_value(most)?;
            }
            if let Some(most) = self.plan.clip_norm {
                gradients.clip_norm(most)?;
            }
            self.optimizer.set_lr(lr);
            self.optimizer.step(&gradients)?;
            self.parameters.gpu().submit()?;
        }
        Ok(search)
    }
}
