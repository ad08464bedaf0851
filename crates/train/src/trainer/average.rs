//! Averages of a model's weights over its training: [`Ema`] and [`Swa`].

use wgrad_autograd::Tensor;
use wgrad_nn::{FlatValues, Parameters, StateDict};

use crate::{Error, Result};

/// The exponential moving average of the parameters, updated after each optimizer step. Counterpart:
/// `torch.optim.swa_utils.AveragedModel` with `get_ema_multi_avg_fn`.
///
/// It starts as the weights before the first step. Buffers, such as batch norm's running values, are not averaged: the averaged
/// weights are used with the values that the model has at that time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ema {
    decay: f64,
}

impl Ema {
    /// The average of which each step keeps the share `decay`, below 1.
    pub fn new(decay: f64) -> Self {
        Self { decay }
    }
}

/// The equal average of the parameters at the ends of epochs. Counterpart: `torch.optim.swa_utils.AveragedModel`.
///
/// Where averaged weights are used, in validation and at the end, batch norm's running values are computed for them anew: from
/// zero, as the average over the rows of the training set, in one pass over it. Other buffers stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swa {
    first: usize,
}

impl Swa {
    /// The average over epoch `first`, counted from 1, and those after it. Validation uses the raw weights until then.
    pub fn from_epoch(first: usize) -> Self {
        Self { first }
    }
}

/// A kind of average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Averaging {
    /// The exponential moving average over steps.
    Ema(Ema),
    /// The equal average over epochs.
    Swa(Swa),
}

impl From<Ema> for Averaging {
    fn from(ema: Ema) -> Self {
        Self::Ema(ema)
    }
}

impl From<Swa> for Averaging {
    fn from(swa: Swa) -> Self {
        Self::Swa(swa)
    }
}

impl std::fmt::Display for Averaging {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ema(Ema { decay }) => write!(f, "moving average {decay}"),
            Self::Swa(Swa { first }) => write!(f, "average from epoch {first}"),
        }
    }
}

/// An average under way.
pub(crate) struct WeightAverage {
    kind: Averaging,
    values: FlatValues,
    /// How many weights it is made of.
    count: u64,
}

impl WeightAverage {
    pub(crate) fn new(kind: Averaging, parameters: &Parameters) -> Result<Self> {
        match kind {
            Averaging::Ema(Ema { decay }) if !(0.0..1.0).contains(&decay) => {
                Err(Error::Usage(format!("a moving average's decay of {decay}: it is in 0..1")))
            }
            Averaging::Swa(Swa { first: 0 }) => {
                Err(Error::Usage("an average from epoch 0: epochs are counted from 1".to_owned()))
            }
            _ => Ok(Self { kind, values: parameters.values().copy()?, count: 0 }),
        }
    }

    pub(crate) fn step_made(&mut self, parameters: &Parameters) -> Result<()> {
        let Averaging::Ema(Ema { decay }) = self.kind else { return Ok(()) };
        self.count += 1;
        Ok(self.values.lerp(&parameters.values(), (1.0 - decay) as f32)?)
    }

    /// Takes note of the end of an epoch, counted from 1.
    pub(crate) fn epoch_ended(&mut self, epoch: usize, parameters: &Parameters) -> Result<()> {
        let Averaging::Swa(Swa { first }) = self.kind else { return Ok(()) };
        if epoch < first {
            return Ok(());
        }
        self.count += 1;
        if self.count == 1 {
            return Ok(self.values.assign(&parameters.values())?);
        }
        Ok(self.values.lerp(&parameters.values(), 1.0 / self.count as f32)?)
    }

    /// The averaged weights, where there are any yet.
    pub(crate) fn values(&self) -> Option<&FlatValues> {
        (self.count > 0).then_some(&self.values)
    }

    /// Whether batch norm's running values are computed anew for it.
    pub(crate) fn needs_running_values(&self) -> bool {
        matches!(self.kind, Averaging::Swa(_))
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn to_state_dict(&self) -> Result<StateDict> {
        Ok(self.values.to_state_dict()?)
    }

    /// Takes values of the parameters' names and shapes, which were checked.
    pub(crate) fn load(&mut self, state: &StateDict, count: u64) -> Result<()> {
        let gpu = self.values.parameters().gpu().clone();
        for (name, (shape, values)) in &state.tensors {
            self.values.set(name, &Tensor::from_slice(&gpu, values, shape)?)?;
        }
        self.count = count;
        Ok(())
    }
}
