//! One rise and one fall.

use super::Schedule;
use crate::{Error, Result};

/// How a schedule goes from one learning rate to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anneal {
    /// In a straight line.
    Linear,
    /// By half a cosine wave.
    Cos,
}

/// One rise to `max_lr` and one fall to nearly nothing. Counterpart: `torch.optim.lr_scheduler.OneCycleLR` with
/// `cycle_momentum=False`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneCycle {
    /// The learning rate at the peak.
    pub max_lr: f64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Share of the steps spent rising.
    pub pct_start: f64,
    /// How it rises and falls.
    pub anneal: Anneal,
    /// The first learning rate is `max_lr / div_factor`.
    pub div_factor: f64,
    /// The last learning rate is the first one over this.
    pub final_div_factor: f64,
}

impl OneCycle {
    /// With PyTorch's defaults for the rest: 0.3 of the steps rising, cosines, from 1/25 of the peak to 1/250,000.
    ///
    /// # Errors
    /// As [`OneCycle::check`].
    pub fn new(max_lr: f64, total_steps: u64) -> Result<Self> {
        let (pct_start, anneal) = (0.3, Anneal::Cos);
        let cycle = Self { max_lr, total_steps, pct_start, anneal, div_factor: 25.0, final_div_factor: 1e4 };
        cycle.check().map(|()| cycle)
    }

    /// Fails for fields, changed perhaps, that give no learning rates. The training loop checks its schedule; a loop of
    /// your own does well to.
    ///
    /// # Errors
    /// [`Error::Options`] for a peak below 0 or not finite, no steps, a share that is not in `0..=1`, or factors that are not
    /// above 0 and finite or divide to a rate that is not finite.
    pub fn check(&self) -> Result<()> {
        let Self { max_lr, total_steps, pct_start, div_factor, final_div_factor, .. } = *self;
        let first = max_lr / div_factor;
        let above_0 = |x: f64| x.is_finite() && x > 0.0;
        let message = if !(max_lr.is_finite() && max_lr >= 0.0 && total_steps > 0) {
            format!("lr {max_lr} at the peak of {total_steps} steps: at least 0, and at least one step")
        } else if !(0.0..=1.0).contains(&pct_start) {
            format!("pct_start {pct_start}: the share of the steps spent rising is in 0..=1")
        } else if !(above_0(div_factor) && above_0(final_div_factor)) {
            format!(
                "div_factor {div_factor}, final_div_factor {final_div_factor}: both are above 0 and finite"
            )
        } else if !(first.is_finite() && (first / final_div_factor).is_finite()) {
            let factors = format!("{div_factor} and {final_div_factor}");
            format!("lr {max_lr} divided by {factors} is not finite: use larger factors")
        } else {
            return Ok(());
        };
        Err(Error::Options { what: "one-cycle schedule", message })
    }

    /// The learning rate of step number `step`, counted from 0. Steps beyond the last one have the last one's rate. Where
    /// [`OneCycle::check`] fails the rate may be NaN, which optimizers refuse.
    pub fn lr(&self, step: u64) -> f64 {
        let first = self.max_lr / self.div_factor;
        let last = first / self.final_div_factor;
        let step = step as f64;
        let peak = self.pct_start * self.total_steps as f64 - 1.0;
        let end = self.total_steps as f64 - 1.0;
        // Where a part has no length, it is over at once.
        let share = |from: f64, to: f64| if to > from { ((step - from) / (to - from)).min(1.0) } else { 1.0 };
        if step <= peak {
            self.anneal.between(first, self.max_lr, share(0.0, peak))
        } else {
            self.anneal.between(self.max_lr, last, share(peak, end))
        }
    }
}

impl Schedule for OneCycle {
    fn lr(&self, step: u64) -> f64 {
        self.lr(step)
    }

    fn check(&self) -> Result<()> {
        self.check()
    }
}

impl std::fmt::Display for OneCycle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { max_lr, total_steps, pct_start, anneal, div_factor, final_div_factor } = self;
        write!(
            f,
            "one cycle of {total_steps} steps to {max_lr} ({pct_start} rising, {anneal:?}, {div_factor}, {final_div_factor})"
        )
    }
}

impl Anneal {
    fn between(self, from: f64, to: f64, share: f64) -> f64 {
        match self {
            Self::Linear => from + (to - from) * share,
            Self::Cos => to + (from - to) / 2.0 * (1.0 + (std::f64::consts::PI * share).cos()),
        }
    }
}
