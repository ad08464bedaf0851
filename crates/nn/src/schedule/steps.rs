//! Rates that stay, fall in steps, or fall by a power.

use std::fmt;

use super::{Schedule, check, usable};
use crate::Result;

/// One learning rate for all steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constant {
    /// The rate.
    pub lr: f64,
}

/// The rate times `gamma` every `step_size` steps: step 0 has `lr`, step `step_size` is the first with `lr · gamma`.
/// Counterpart: `torch.optim.lr_scheduler.StepLR`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepLr {
    /// The first rate.
    pub lr: f64,
    /// Steps with the same rate.
    pub step_size: u64,
    /// The factor.
    pub gamma: f64,
}

/// The rate times `gamma` at each milestone, the first step with the lower rate. Counterpart:
/// `torch.optim.lr_scheduler.MultiStepLR`.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiStep {
    /// The first rate.
    pub lr: f64,
    /// Numbers of steps, in any order; one that is named twice counts twice.
    pub milestones: Vec<u64>,
    /// The factor.
    pub gamma: f64,
}

/// The rate times `gamma` at every step: step t has `lr · gammaᵗ`. Counterpart: `torch.optim.lr_scheduler.ExponentialLR`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exponential {
    /// The first rate.
    pub lr: f64,
    /// The factor.
    pub gamma: f64,
}

/// The rate falls to 0 by a power: step t has `lr · (1 - t / total_steps)^power`, and from step `total_steps` on it is 0, so that
/// the last of `total_steps` steps still moves. Counterpart: `torch.optim.lr_scheduler.PolynomialLR`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Polynomial {
    /// The first rate.
    pub lr: f64,
    /// Steps until the rate is 0.
    pub total_steps: u64,
    /// The power; 1 is a straight line.
    pub power: f64,
}

/// `base^exponent` of a number of steps that may be beyond i32.
fn power(base: f64, exponent: u64) -> f64 {
    i32::try_from(exponent).map_or_else(|_| base.powf(exponent as f64), |exponent| base.powi(exponent))
}

impl Schedule for Constant {
    fn lr(&self, _: u64) -> f64 {
        self.lr
    }

    fn check(&self) -> Result<()> {
        check("constant schedule", usable(self.lr), || format!("lr {}: it is finite and at least 0", self.lr))
    }
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "constant {}", self.lr)
    }
}

impl Schedule for StepLr {
    fn lr(&self, step: u64) -> f64 {
        self.lr * power(self.gamma, step.checked_div(self.step_size).unwrap_or(0))
    }

    fn check(&self) -> Result<()> {
        let Self { lr, step_size, gamma } = *self;
        check("step schedule", usable(lr) && usable(gamma) && step_size > 0, || {
            format!(
                "lr {lr}, gamma {gamma}, step_size {step_size}: finite and at least 0, and at least one step"
            )
        })
    }
}

impl fmt::Display for StepLr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} times {} every {} steps", self.lr, self.gamma, self.step_size)
    }
}

impl Schedule for MultiStep {
    fn lr(&self, step: u64) -> f64 {
        let passed = self.milestones.iter().filter(|&&milestone| milestone <= step).count();
        self.lr * power(self.gamma, passed as u64)
    }

    fn check(&self) -> Result<()> {
        let Self { lr, gamma, .. } = *self;
        check("multi-step schedule", usable(lr) && usable(gamma), || {
            format!("lr {lr}, gamma {gamma}: both are finite and at least 0")
        })
    }
}

impl fmt::Display for MultiStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} times {} at steps {:?}", self.lr, self.gamma, self.milestones)
    }
}

impl Schedule for Exponential {
    fn lr(&self, step: u64) -> f64 {
        self.lr * power(self.gamma, step)
    }

    fn check(&self) -> Result<()> {
        let Self { lr, gamma } = *self;
        // A factor above 1 would leave all numbers behind in the end.
        check("exponential schedule", usable(lr) && (0.0..=1.0).contains(&gamma), || {
            format!("lr {lr}, gamma {gamma}: the first is finite and at least 0, the second in 0..=1")
        })
    }
}

impl fmt::Display for Exponential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} times {} every step", self.lr, self.gamma)
    }
}

impl Schedule for Polynomial {
    fn lr(&self, step: u64) -> f64 {
        let left = self.total_steps.saturating_sub(step) as f64 / self.total_steps as f64;
        self.lr * left.powf(self.power)
    }

    fn check(&self) -> Result<()> {
        let Self { lr, total_steps, power } = *self;
        let fits = usable(lr) && power.is_finite() && power > 0.0 && total_steps > 0;
        check("polynomial schedule", fits, || {
            format!(
                "lr {lr}, power {power}, {total_steps} steps: finite, at least 0, above 0, and at least one step"
            )
        })
    }
}

impl fmt::Display for Polynomial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to 0 in {} steps by power {}", self.lr, self.total_steps, self.power)
    }
}
