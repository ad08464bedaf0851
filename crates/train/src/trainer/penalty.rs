//! [`Penalty`]: large weights cost something.

use wgrad_nn::Gradients;

use super::callback::{Callback, Fit};
use crate::Result;

/// Trains by the loss and `l1 · Σ |w| + l2 / 2 · Σ w²`, a sum over the parameters whose names are like a pattern. Its gradient is added
/// to that of the loss before it is clipped: [`FlatValues::add_penalty`](wgrad_nn::FlatValues::add_penalty). Losses are told without it.
#[derive(Clone, Debug)]
pub struct Penalty {
    pattern: String,
    l1: f32,
    l2: f32,
}

impl Penalty {
    /// Of the parameters whose names are like `pattern`, where `*` stands for any characters, such as `*.weight`. Those without a
    /// gradient, such as frozen ones, are left as they are. An error of the first step says where no name is like it.
    pub fn new(pattern: impl Into<String>, l1: f32, l2: f32) -> Self {
        Self { pattern: pattern.into(), l1, l2 }
    }
}

impl Callback for Penalty {
    fn name(&self) -> &str {
        "penalty"
    }

    fn on_before_optimizer_step(&mut self, _: &mut Fit, gradients: &mut Gradients) -> Result<()> {
        Ok(gradients.add_penalty(&self.pattern, self.l1, self.l2)?)
    }
}
