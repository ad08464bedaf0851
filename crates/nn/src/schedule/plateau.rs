//! A rate that falls when a metric stands still.

use std::fmt;
use std::str::FromStr;

use super::{check, usable};
use crate::{Error, Result};

const WHAT: &str = "schedule by plateaus";

/// Which metrics are better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlateauMode {
    /// Smaller ones, such as losses.
    #[default]
    Min,
    /// Larger ones, such as accuracies.
    Max,
}

/// Options of [`ReduceOnPlateau`]; the default is PyTorch's, with a learning rate of 0.001.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlateauOptions {
    /// The first rate.
    pub lr: f64,
    /// Which metrics are better.
    pub mode: PlateauMode,
    /// The factor of each fall, in 0..1.
    pub factor: f64,
    /// Metrics in a row that may be no better than the best; the next one lets the rate fall. With 0 the first does.
    pub patience: u64,
    /// By how much a metric must be better than the best one to count.
    pub threshold: f64,
    /// Whether the threshold is a share of the best metric, or a difference.
    pub relative: bool,
    /// Metrics after a fall that are not held against the rate.
    pub cooldown: u64,
    /// The lowest rate.
    pub min_lr: f64,
    /// The rate does not fall by less than this.
    pub eps: f64,
}

impl Default for PlateauOptions {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            mode: PlateauMode::Min,
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            relative: true,
            cooldown: 0,
            min_lr: 0.0,
            eps: 1e-8,
        }
    }
}

/// What [`ReduceOnPlateau`] keeps from metric to metric. Its text, by `to_string` and `parse`, is exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlateauState {
    /// The rate.
    pub lr: f64,
    /// The best metric so far, infinite before the first.
    pub best: f64,
    /// Metrics in a row that were no better.
    pub bad: u64,
    /// Metrics that are still not held against the rate.
    pub cooldown: u64,
}

/// A learning rate that falls when a metric no longer gets better. Counterpart: `torch.optim.lr_scheduler.ReduceLROnPlateau`.
///
/// A metric that is NaN is no better than any.
///
/// ```
/// use wgrad_nn::{PlateauOptions, ReduceOnPlateau};
///
/// let mut schedule = ReduceOnPlateau::new(PlateauOptions { lr: 1.0, patience: 1, ..Default::default() })?;
/// let rates = [0.5, 0.6, 0.6, 0.4].map(|validation_loss| schedule.step(validation_loss));
/// assert_eq!(rates, [1.0, 1.0, 0.1, 0.1]);
/// let saved = schedule.state().to_string();
/// schedule.set_state(saved.parse()?)?;
/// # Ok::<(), wgrad_nn::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReduceOnPlateau {
    options: PlateauOptions,
    state: PlateauState,
}

impl ReduceOnPlateau {
    /// With the first rate.
    ///
    /// # Errors
    /// [`Error::Options`] for rates, a threshold or an `eps` that are negative or not finite, or a factor that is not in 0..1.
    pub fn new(options: PlateauOptions) -> Result<Self> {
        let PlateauOptions { lr, factor, threshold, min_lr, eps, .. } = options;
        let fits = [lr, threshold, min_lr, eps].into_iter().all(usable);
        check(WHAT, fits && (0.0..1.0).contains(&factor), || {
            format!(
                "lr {lr}, threshold {threshold}, min_lr {min_lr}, eps {eps}, factor {factor}: all are finite and at least 0, \
                 the factor below 1"
            )
        })?;
        let best = match options.mode {
            PlateauMode::Min => f64::INFINITY,
            PlateauMode::Max => f64::NEG_INFINITY,
        };
        Ok(Self { options, state: PlateauState { lr, best, bad: 0, cooldown: 0 } })
    }

    /// Takes a metric, such as an epoch's validation loss, and gives the rate from now on.
    pub fn step(&mut self, metric: f64) -> f64 {
        let PlateauOptions { factor, patience, cooldown, min_lr, eps, .. } = self.options;
        let is_better = self.is_better(metric);
        let state = &mut self.state;
        if is_better {
            state.best = metric;
            state.bad = 0;
        } else {
            state.bad = state.bad.saturating_add(1);
        }
        if state.cooldown > 0 {
            state.cooldown -= 1;
            state.bad = 0;
        }
        if state.bad > patience {
            let lower = (state.lr * factor).max(min_lr);
            if state.lr - lower > eps {
                state.lr = lower;
            }
            (state.cooldown, state.bad) = (cooldown, 0);
        }
        state.lr
    }

    fn is_better(&self, metric: f64) -> bool {
        let PlateauOptions { mode, threshold, relative, .. } = self.options;
        let best = self.state.best;
        match (mode, relative) {
            (PlateauMode::Min, true) => metric < best * (1.0 - threshold),
            (PlateauMode::Min, false) => metric < best - threshold,
            (PlateauMode::Max, true) => metric > best * (1.0 + threshold),
            (PlateauMode::Max, false) => metric > best + threshold,
        }
    }

    /// The rate.
    pub fn lr(&self) -> f64 {
        self.state.lr
    }

    /// The options.
    pub fn options(&self) -> &PlateauOptions {
        &self.options
    }

    /// What a checkpoint must hold.
    pub fn state(&self) -> PlateauState {
        self.state
    }

    /// Goes on from a state that was saved.
    ///
    /// # Errors
    /// [`Error::Options`] for a rate that is negative or not finite, or a best metric that is NaN; nothing is then changed.
    pub fn set_state(&mut self, state: PlateauState) -> Result<()> {
        check(WHAT, usable(state.lr) && !state.best.is_nan(), || {
            format!("a state with lr {} and best {}", state.lr, state.best)
        })?;
        self.state = state;
        Ok(())
    }
}

impl fmt::Display for ReduceOnPlateau {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PlateauOptions { lr, mode, factor, patience, threshold, relative, cooldown, min_lr, eps } =
            self.options;
        let kind = if relative { "relative" } else { "absolute" };
        write!(
            f,
            "{lr} times {factor} after {patience} metrics without a better one ({mode:?}, {kind} threshold {threshold}, \
             cooldown {cooldown}, at least {min_lr}, eps {eps})"
        )
    }
}

impl fmt::Display for PlateauState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.lr, self.best, self.bad, self.cooldown)
    }
}

impl FromStr for PlateauState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        let parse = || {
            let &[lr, best, bad, cooldown] = words.as_slice() else { return None };
            let (lr, best) = (lr.parse().ok()?, best.parse().ok()?);
            Some(Self { lr, best, bad: bad.parse().ok()?, cooldown: cooldown.parse().ok()? })
        };
        let message = || format!("the state {text:?}: it is four numbers, as to_string() writes them");
        parse().ok_or_else(|| Error::Options { what: WHAT, message: message() })
    }
}
