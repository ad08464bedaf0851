//! How each model is trained where no flag says otherwise.

use clap::ValueEnum;
use wgrad::data::Augment;
use wgrad::nn::{Anneal, OneCycle, SgdOptions};

use crate::Flags;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Model {
    Cnn,
    Resnet9,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Schedule {
    Constant,
    OneCycle,
}

/// Everything about a run that depends on the model.
#[derive(Clone)]
pub struct Recipe {
    pub epochs: u32,
    pub batch_size: u32,
    pub sgd: SgdOptions,
    pub label_smoothing: f32,
    pub schedule: Schedule,
    pub augment: Option<Augment>,
}

impl Model {
    fn recipe(self) -> Recipe {
        match self {
            Self::Cnn => Recipe {
                epochs: 10,
                batch_size: 64,
                sgd: SgdOptions { lr: 0.01, momentum: 0.9, ..Default::default() },
                label_smoothing: 0.0,
                schedule: Schedule::Constant,
                augment: None,
            },
            Self::Resnet9 => Recipe {
                epochs: 10,
                batch_size: 256,
                sgd: SgdOptions {
                    lr: 0.3,
                    momentum: 0.9,
                    weight_decay: 5e-4,
                    nesterov: true,
                    ..Default::default()
                },
                label_smoothing: 0.1,
                schedule: Schedule::OneCycle,
                augment: Some(Augment::default()),
            },
        }
    }
}

impl Recipe {
    /// The model's recipe with what the flags change in it.
    pub fn new(flags: &Flags) -> Self {
        let own = flags.model.recipe();
        let sgd = SgdOptions {
            lr: flags.lr.unwrap_or(own.sgd.lr),
            momentum: flags.momentum.unwrap_or(own.sgd.momentum),
            weight_decay: flags.weight_decay.unwrap_or(own.sgd.weight_decay),
            nesterov: flags.nesterov.unwrap_or(own.sgd.nesterov),
            ..own.sgd
        };
        Self {
            epochs: flags.epochs.unwrap_or(own.epochs),
            batch_size: flags.batch_size.unwrap_or(own.batch_size),
            sgd,
            label_smoothing: flags.label_smoothing.unwrap_or(own.label_smoothing),
            schedule: flags.schedule.unwrap_or(own.schedule),
            augment: match flags.augment {
                Some(wanted) => wanted.then(Augment::default),
                None => own.augment,
            },
        }
    }

    /// The learning rate over epochs of so many batches; `None` where it stays.
    ///
    /// # Errors
    /// For a learning rate that is no number or below 0.
    pub fn schedule(&self, batches: usize) -> wgrad::nn::Result<Option<OneCycle>> {
        match self.schedule {
            Schedule::Constant => Ok(None),
            Schedule::OneCycle => {
                let steps = u64::from(self.epochs) * batches as u64;
                let cycle = OneCycle::new(self.sgd.lr, steps)?;
                Ok(Some(OneCycle { pct_start: 0.25, anneal: Anneal::Linear, ..cycle }))
            }
        }
    }
}
