//! The mean gradient of some batches.

use wgrad_nn::Gradients;

use crate::Result;

/// The sum of the gradients of some batches, each times its weight.
///
/// Each batch's gradient is that of a mean over its rows, so that the weighted sum over the total weight is the gradient of one
/// batch of all rows.
#[derive(Default)]
pub(crate) struct GradientMean {
    sum: Option<Gradients>,
    /// The weight of the only batch so far, whose gradient has not been multiplied by it yet.
    alone: Option<f64>,
    total: f64,
}

impl GradientMean {
    pub(crate) fn add(&mut self, gradients: Gradients, weight: f64) -> Result<()> {
        self.total += weight;
        let Some(sum) = &mut self.sum else {
            (self.sum, self.alone) = (Some(gradients), Some(weight));
            return Ok(());
        };
        if let Some(first) = self.alone.take() {
            sum.scale(first as f32)?;
        }
        Ok(sum.add_scaled(&gradients, weight as f32)?)
    }

    /// The gradient of all rows: that of a single batch as it is, to the bit.
    pub(crate) fn finish(self) -> Result<Option<Gradients>> {
        let Self { sum, alone, total } = self;
        let Some(mut sum) = sum else { return Ok(None) };
        if alone.is_none() {
            sum.scale((1.0 / total) as f32)?;
        }
        Ok(Some(sum))
    }
}
