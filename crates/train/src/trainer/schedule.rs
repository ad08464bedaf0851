//! The learning rate of each step, as the trainer asks for it.

use wgrad_nn::{ReduceOnPlateau, Schedule};

use crate::{Error, Result};

type Make<'a> = dyn Fn(u64) -> wgrad_nn::Result<Box<dyn Schedule + 'a>> + 'a;

/// Where learning rates come from.
pub(crate) enum Rates<'a> {
    /// The optimizer.
    Own,
    /// A function of the step.
    Steps(Box<dyn Schedule + 'a>),
    /// The same, made for the number of steps of the fit.
    Made { make: Box<Make<'a>>, made: Option<Box<dyn Schedule + 'a>> },
    /// A figure of each epoch; every fit begins with the schedule `first`.
    Plateau { figure: String, first: ReduceOnPlateau, schedule: ReduceOnPlateau },
}

impl Rates<'_> {
    /// Comes before a fit of `total` steps.
    pub(crate) fn start(&mut self, total: u64) -> Result<()> {
        let checked = match self {
            Self::Own => Ok(()),
            Self::Plateau { first, schedule, .. } => {
                *schedule = *first;
                Ok(())
            }
            Self::Steps(schedule) => schedule.check(),
            Self::Made { make, made } => make(total).and_then(|schedule| {
                let schedule = made.insert(schedule);
                schedule.check()
            }),
        };
        checked.map_err(|error| Error::Usage(error.to_string()))
    }

    /// The rate of step number `step`, counted from 0; `None` where it is the optimizer's own.
    pub(crate) fn lr(&self, step: u64) -> Option<f64> {
        match self {
            Self::Own | Self::Made { made: None, .. } => None,
            Self::Steps(schedule) | Self::Made { made: Some(schedule), .. } => Some(schedule.lr(step)),
            Self::Plateau { schedule, .. } => Some(schedule.lr()),
        }
    }

    /// The name of the figure that decides, if one does.
    pub(crate) fn figure(&self) -> Option<&str> {
        match self {
            Self::Plateau { figure, .. } => Some(figure),
            _ => None,
        }
    }

    /// Takes in the deciding figure of an epoch.
    pub(crate) fn observe(&mut self, value: f64) {
        if let Self::Plateau { schedule, .. } = self {
            schedule.step(value);
        }
    }

    /// In words; `None` where the rate is the optimizer's own.
    pub(crate) fn describe(&self) -> Option<String> {
        match self {
            Self::Own | Self::Made { made: None, .. } => None,
            Self::Steps(schedule) | Self::Made { made: Some(schedule), .. } => Some(schedule.to_string()),
            Self::Plateau { figure, schedule, .. } => Some(format!("{figure}: {schedule}")),
        }
    }

    /// What changes from epoch to epoch, to the bit.
    pub(crate) fn state(&self) -> String {
        match self {
            Self::Plateau { schedule, .. } => schedule.state().to_string(),
            _ => String::new(),
        }
    }

    /// Takes what [`Rates::state`] gave; says whether it makes sense.
    pub(crate) fn load_state(&mut self, state: &str) -> bool {
        match self {
            Self::Plateau { schedule, .. } => {
                state.parse().and_then(|state| schedule.set_state(state)).is_ok()
            }
            _ => state.is_empty(),
        }
    }
}
