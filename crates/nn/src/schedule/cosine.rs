//! Rates that fall by half a cosine wave.

use std::f64::consts::PI;
use std::fmt;

use super::{Schedule, check, usable};
use crate::Result;

/// The rate falls from `lr` at step 0 to `min_lr` at step `total_steps` by half a cosine wave, and stays there. The last of
/// `total_steps` steps is just above it. Counterpart: `torch.optim.lr_scheduler.CosineAnnealingLR` with `T_max=total_steps`, which
/// rises again beyond.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cosine {
    /// The first rate.
    pub lr: f64,
    /// Steps until the lowest rate.
    pub total_steps: u64,
    /// The lowest rate.
    pub min_lr: f64,
}

/// The rate falls by half a cosine wave again and again. The first step of every cycle has `lr`; none has `min_lr` itself, which
/// would be that of the step where the next cycle begins. Counterpart: `torch.optim.lr_scheduler.CosineAnnealingWarmRestarts`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CosineWarmRestarts {
    /// The first rate of each cycle.
    pub lr: f64,
    /// Steps of the first cycle, PyTorch's `T_0`.
    pub first_cycle: u64,
    /// How many times longer each cycle is than the one before, PyTorch's `T_mult`; at least 1.
    pub times: u64,
    /// The rate that cycles fall to.
    pub min_lr: f64,
}

/// From `high` to `low` by half a cosine wave, of which this share has passed.
fn wave(high: f64, low: f64, share: f64) -> f64 {
    low + (high - low) * (1.0 + (PI * share).cos()) / 2.0
}

impl Schedule for Cosine {
    fn lr(&self, step: u64) -> f64 {
        let share = if step >= self.total_steps { 1.0 } else { step as f64 / self.total_steps as f64 };
        wave(self.lr, self.min_lr, share)
    }

    fn check(&self) -> Result<()> {
        let Self { lr, total_steps, min_lr } = *self;
        check("cosine schedule", usable(lr) && usable(min_lr) && total_steps > 0, || {
            format!(
                "lr {lr}, min_lr {min_lr}, {total_steps} steps: finite and at least 0, and at least one step"
            )
        })
    }
}

impl fmt::Display for Cosine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} in {} steps by a cosine", self.lr, self.min_lr, self.total_steps)
    }
}

impl Schedule for CosineWarmRestarts {
    fn lr(&self, step: u64) -> f64 {
        let (mut passed, mut cycle) = (step, self.first_cycle.max(1));
        if self.times <= 1 {
            passed %= cycle;
        } else {
            while passed >= cycle {
                passed -= cycle;
                cycle = cycle.saturating_mul(self.times);
            }
        }
        wave(self.lr, self.min_lr, passed as f64 / cycle as f64)
    }

    fn check(&self) -> Result<()> {
        let Self { lr, first_cycle, times, min_lr } = *self;
        check(
            "schedule of warm restarts",
            usable(lr) && usable(min_lr) && first_cycle > 0 && times > 0,
            || {
                format!(
                    "lr {lr}, min_lr {min_lr}, a first cycle of {first_cycle} steps, the next {times} times as long: rates are \
                 finite and at least 0, the others at least 1"
                )
            },
        )
    }
}

impl fmt::Display for CosineWarmRestarts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lr, first_cycle, times, min_lr } = self;
        write!(f, "{lr} to {min_lr} by cosines of {first_cycle} steps, each {times} times the one before")
    }
}
