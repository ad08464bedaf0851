//! Schedules made of schedules.

use std::fmt;
use std::sync::Arc;

use super::{Schedule, check};
use crate::Result;

/// A straight rise to another schedule's first rate, and then that one, counted from its own step 0. Step 0 has `start_factor`
/// times that rate, and step `steps` is the first at the full rate. Counterpart: `LinearLR` and another scheduler in a
/// `torch.optim.lr_scheduler.SequentialLR`.
#[derive(Clone, Debug)]
pub struct LinearWarmUp {
    /// Steps below the full rate; none of them where it is 0.
    pub steps: u64,
    /// The share of the rate that the first step has, above 0, so that it moves, and at most 1.
    pub start_factor: f64,
    /// What follows.
    pub then: Arc<dyn Schedule>,
}

/// Schedules one after the other, each counted from its own step 0. Counterpart: `torch.optim.lr_scheduler.SequentialLR`.
#[derive(Clone, Debug)]
pub struct Chained {
    /// The schedules.
    pub parts: Vec<Arc<dyn Schedule>>,
    /// The first step of each but the first schedule, rising.
    pub milestones: Vec<u64>,
}

impl LinearWarmUp {
    /// A rise over `steps` steps.
    pub fn new(steps: u64, start_factor: f64, then: impl Schedule + 'static) -> Self {
        Self { steps, start_factor, then: Arc::new(then) }
    }
}

impl Chained {
    /// A chain that begins with `first`.
    pub fn new(first: impl Schedule + 'static) -> Self {
        Self { parts: vec![Arc::new(first)], milestones: Vec::new() }
    }

    /// The same chain, which goes on with `next` from step `milestone` of all on.
    #[must_use]
    pub fn then(mut self, milestone: u64, next: impl Schedule + 'static) -> Self {
        self.parts.push(Arc::new(next));
        self.milestones.push(milestone);
        self
    }
}

impl Schedule for LinearWarmUp {
    fn lr(&self, step: u64) -> f64 {
        if step >= self.steps {
            return self.then.lr(step - self.steps);
        }
        let share = step as f64 / self.steps as f64;
        self.then.lr(0) * (self.start_factor + (1.0 - self.start_factor) * share)
    }

    fn check(&self) -> Result<()> {
        let start = self.start_factor;
        check("warm-up", start > 0.0 && start <= 1.0, || {
            format!("start_factor {start}: it is above 0 and at most 1, or the first step is wasted")
        })?;
        self.then.check()
    }
}

impl fmt::Display for LinearWarmUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} steps of warm-up from {}, then {}", self.steps, self.start_factor, self.then)
    }
}

impl Schedule for Chained {
    fn lr(&self, step: u64) -> f64 {
        let passed = self.milestones.iter().take_while(|&&milestone| milestone <= step).count();
        let start = self.milestones[..passed].last().unwrap_or(&0);
        self.parts.get(passed).map_or(f64::NAN, |part| part.lr(step - start))
    }

    fn check(&self) -> Result<()> {
        let Self { parts, milestones } = self;
        check("chained schedule", parts.len() == milestones.len() + 1, || {
            format!("{} schedules and {} milestones: one between each two", parts.len(), milestones.len())
        })?;
        check("chained schedule", milestones.is_sorted_by(|a, b| a < b), || {
            format!("milestones {milestones:?}: they rise")
        })?;
        parts.iter().try_for_each(|part| part.check())
    }
}

impl fmt::Display for Chained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.parts.iter().enumerate() {
            if let Some(milestone) = i.checked_sub(1).and_then(|before| self.milestones.get(before)) {
                write!(f, "; from step {milestone} ")?;
            }
            write!(f, "{part}")?;
        }
        Ok(())
    }
}
