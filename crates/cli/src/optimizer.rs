//! The optimizer and the course of its learning rate that a configuration names.

use std::sync::Arc;

use wgrad::nn::{
    Adadelta, AdadeltaOptions, Adafactor, AdafactorOptions, Adagrad, AdagradOptions, Adam, AdamOptions,
    AmsGrad, AmsGradOptions, Anneal, Constant, Cosine, CosineWarmRestarts, Exponential, Lamb, LambOptions,
    LinearWarmUp, Lion, LionOptions, MultiStep, Muon, MuonOptions, NAdam, NAdamOptions, OneCycle, Optimizer,
    Parameters, PlateauOptions, Polynomial, ReduceOnPlateau, RmsProp, RmsPropOptions, Schedule, Sgd,
    SgdOptions, StepLr,
};

use crate::config::{Config, OptimizerName, ScheduleName};
use crate::{Error, Result};

/// The share of the full rate that the first step of a warm-up has.
const START_FACTOR: f64 = 0.01;
/// What a step of a schedule multiplies the rate by where nobody says.
const DECAY: f64 = 0.1;

impl OptimizerName {
    /// The values that it keeps for each parameter. Adafactor keeps a value for each row and column instead, which is little.
    pub(crate) fn moments(self) -> u64 {
        match self {
            Self::Adafactor => 0,
            Self::Sgd | Self::Adagrad | Self::Lion | Self::Muon => 1,
            Self::Adam | Self::Adamw | Self::Nadam | Self::Rmsprop | Self::Adadelta | Self::Lamb => 2,
            Self::Amsgrad => 3,
        }
    }

    /// A learning rate to begin with.
    pub(crate) fn default_lr(self, is_image: bool) -> f64 {
        match self {
            Self::Adam | Self::Adamw | Self::Amsgrad | Self::Nadam | Self::Lamb if is_image => 0.003,
            Self::Adam | Self::Adamw | Self::Amsgrad | Self::Nadam | Self::Lamb | Self::Rmsprop => 0.001,
            Self::Sgd | Self::Adagrad | Self::Adafactor => 0.01,
            Self::Adadelta => 1.0,
            Self::Lion => 0.0003,
            Self::Muon => 0.02,
        }
    }
}

/// Fails for keys that the optimizer has no use for.
pub(crate) fn check(config: &Config) -> Result<()> {
    let optimizer = config.optimizer.unwrap_or(OptimizerName::Adam);
    let takes = |key: &str, is_set: bool, by: &[OptimizerName]| {
        if !is_set || by.contains(&optimizer) {
            return Ok(());
        }
        let others: Vec<&str> = by.iter().map(|name| name.word()).collect();
        let message = format!("{key} is no key of {}: it is one of {}", optimizer.word(), others.join(", "));
        Err(Error::usage(message))
    };
    takes(
        "momentum",
        config.momentum.is_some(),
        &[OptimizerName::Sgd, OptimizerName::Rmsprop, OptimizerName::Muon],
    )?;
    takes("nesterov", config.nesterov.is_some(), &[OptimizerName::Sgd, OptimizerName::Muon])?;
    let lr = config.lr.unwrap_or_default();
    if !(lr.is_finite() && lr > 0.0) {
        return Err(Error::usage(format!("lr = {lr}: above 0 and finite")));
    }
    if let Some(l1) = config.l1_penalty.filter(|l1| !l1.is_finite() || *l1 < 0.0) {
        return Err(Error::usage(format!("l1_penalty = {l1}: at least 0 and finite")));
    }
    check_schedule(config)
}

/// Fails for keys that the schedule has no use for, and for those that it misses.
fn check_schedule(config: &Config) -> Result<()> {
    use ScheduleName::{CosineRestarts, Exponential, MultiStep, OnPlateau, Polynomial, Step};
    let schedule = config.schedule.unwrap_or(ScheduleName::Constant);
    let word = schedule.word();
    let keys: [(&str, bool, bool, &[ScheduleName]); 6] = [
        ("decay", config.decay.is_some(), false, &[Step, MultiStep, Exponential, OnPlateau]),
        ("decay_every", config.decay_every.is_some(), true, &[Step]),
        ("decay_at", config.decay_at.is_some(), true, &[MultiStep]),
        ("power", config.power.is_some(), false, &[Polynomial]),
        ("restart_every", config.restart_every.is_some(), true, &[CosineRestarts]),
        ("restart_factor", config.restart_factor.is_some(), false, &[CosineRestarts]),
    ];
    for (key, is_set, is_needed, of) in keys {
        let others: Vec<&str> = of.iter().map(|name| name.word()).collect();
        match (is_set, of.contains(&schedule)) {
            (true, false) => {
                let message =
                    format!("{key}: it is a key of schedule {}, and this one is {word}", others.join(", "));
                return Err(Error::usage(message));
            }
            (false, true) if is_needed => {
                return Err(Error::usage(format!("schedule = {word}: it needs {key}, a number of epochs")));
            }
            _ => {}
        }
    }
    if config.decay_at.as_ref().is_some_and(|at| at.is_empty() || at.contains(&0)) {
        return Err(Error::usage("decay_at: numbers of epochs, each at least 1"));
    }
    if schedule == Exponential && config.decay.is_none() {
        return Err(Error::usage("schedule = exponential: it needs decay, the factor of each epoch"));
    }
    if let Some(decay) = config.decay.filter(|decay| !(*decay > 0.0 && *decay < 1.0)) {
        return Err(Error::usage(format!("decay = {decay}: above 0 and below 1")));
    }
    if let Some(power) = config.power.filter(|power| !(power.is_finite() && *power > 0.0)) {
        return Err(Error::usage(format!("power = {power}: above 0 and finite")));
    }
    Ok(())
}

/// The schedule that follows what validation finds, if that is the configuration's.
pub(crate) fn plateau(config: &Config) -> Result<Option<ReduceOnPlateau>> {
    if config.schedule != Some(ScheduleName::OnPlateau) {
        return Ok(None);
    }
    let (lr, factor) = (config.lr.unwrap_or_default(), config.decay.unwrap_or(DECAY));
    Ok(Some(ReduceOnPlateau::new(PlateauOptions { lr, factor, ..Default::default() })?))
}

/// The optimizer of the configuration, with its own defaults for what is not set.
pub(crate) fn optimizer(config: &Config, parameters: &Parameters) -> Result<Box<dyn Optimizer>> {
    macro_rules! with {
        ($optimizer:ident, $options:expr $(, $key:ident)*) => {{
            let mut options = $options;
            options.lr = config.lr.unwrap_or(options.lr);
            options.weight_decay = config.weight_decay.unwrap_or(options.weight_decay);
            $(options.$key = config.$key.unwrap_or(options.$key);)*
            Box::new($optimizer::new(parameters, options)?)
        }};
    }
    Ok(match config.optimizer.unwrap_or(OptimizerName::Adam) {
        OptimizerName::Sgd => with!(Sgd, SgdOptions::default(), momentum, nesterov),
        OptimizerName::Adam => with!(Adam, AdamOptions::default()),
        OptimizerName::Adamw => with!(Adam, AdamOptions::adamw()),
        OptimizerName::Amsgrad => {
            let mut adam = AdamOptions::default();
            adam.lr = config.lr.unwrap_or(adam.lr);
            adam.weight_decay = config.weight_decay.unwrap_or(adam.weight_decay);
            Box::new(AmsGrad::new(parameters, AmsGradOptions { adam })?)
        }
        OptimizerName::Nadam => with!(NAdam, NAdamOptions::default()),
        OptimizerName::Rmsprop => with!(RmsProp, RmsPropOptions::default(), momentum),
        OptimizerName::Adagrad => with!(Adagrad, AdagradOptions::default()),
        OptimizerName::Adadelta => with!(Adadelta, AdadeltaOptions::default()),
        OptimizerName::Lion => with!(Lion, LionOptions::default()),
        OptimizerName::Lamb => with!(Lamb, LambOptions::default()),
        OptimizerName::Adafactor => with!(Adafactor, AdafactorOptions::default()),
        OptimizerName::Muon => with!(Muon, MuonOptions::default(), momentum, nesterov),
    })
}

/// The learning rate of each of `steps` steps; `None` where it stays the optimizer's, or follows what validation finds.
pub(crate) fn schedule(config: &Config, steps: u64) -> Result<Option<Arc<dyn Schedule>>> {
    let (lr, warm_up) = (config.lr.unwrap_or_default(), config.warm_up.unwrap_or(0));
    let name = config.schedule.unwrap_or(ScheduleName::Constant);
    if warm_up > 0 && matches!(name, ScheduleName::OneCycle | ScheduleName::OnPlateau) {
        return Err(Error::usage("warm_up: a schedule of its own; take another one with it"));
    }
    if warm_up >= steps.max(1) {
        return Err(Error::usage(format!("warm_up = {warm_up}: the run has {steps} steps, so give fewer")));
    }
    let total_steps = steps - warm_up;
    let per_epoch = steps / config.epochs.map_or(1, |epochs| epochs.max(1) as u64);
    let gamma = config.decay.unwrap_or(DECAY);
    let steps_of = |epochs: u64| epochs.saturating_mul(per_epoch);
    let rest: Arc<dyn Schedule> = match name {
        ScheduleName::OneCycle => {
            Arc::new(OneCycle { pct_start: 0.25, anneal: Anneal::Linear, ..OneCycle::new(lr, steps)? })
        }
        ScheduleName::Cosine => Arc::new(Cosine { lr, total_steps, min_lr: 0.0 }),
        ScheduleName::CosineRestarts => Arc::new(CosineWarmRestarts {
            lr,
            first_cycle: steps_of(config.restart_every.unwrap_or(1)),
            times: config.restart_factor.unwrap_or(1),
            min_lr: 0.0,
        }),
        ScheduleName::Linear | ScheduleName::Polynomial => {
            Arc::new(Polynomial { lr, total_steps, power: config.power.unwrap_or(1.0) })
        }
        ScheduleName::Step => {
            Arc::new(StepLr { lr, step_size: steps_of(config.decay_every.unwrap_or(1)), gamma })
        }
        ScheduleName::MultiStep => {
            let epochs = config.decay_at.iter().flatten();
            Arc::new(MultiStep { lr, milestones: epochs.map(|&epochs| steps_of(epochs)).collect(), gamma })
        }
        ScheduleName::Exponential => {
            Arc::new(Exponential { lr, gamma: gamma.powf(1.0 / per_epoch.max(1) as f64) })
        }
        ScheduleName::Constant if warm_up > 0 => Arc::new(Constant { lr }),
        ScheduleName::Constant | ScheduleName::OnPlateau => return Ok(None),
    };
    Ok(Some(match warm_up {
        0 => rest,
        _ => Arc::new(LinearWarmUp { steps: warm_up, start_factor: START_FACTOR, then: rest }),
    }))
}
