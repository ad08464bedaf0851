//! Batch normalisation layer.

use wgrad_autograd::{BatchNormOptions, RunningStats, Tensor};

use super::{Mode, Module, in_layer, name_of};
use crate::{Builder, Init, Integer, Param, Result};

/// Normalises each channel: by the batch's statistics in training, which also move the running estimates, and by these
/// in evaluation. Counterpart: `torch.nn.BatchNorm2d`, followed by a ReLU if the options say so.
///
/// Shape: `[n, channels, h, w]`, kept; parameters `weight` and `bias`, buffers `running_mean` and `running_var`, all
/// `[channels]`, and `num_batches_tracked`.
pub struct BatchNorm2d {
    name: String,
    weight: Param,
    bias: Param,
    running_mean: Param,
    running_var: Param,
    batches: Param,
    options: BatchNormOptions,
}

impl BatchNorm2d {
    /// With PyTorch's initialisation: no change of scale, and running estimates of 0 and 1.
    pub fn new(builder: &Builder, channels: usize, options: BatchNormOptions) -> Self {
        Self {
            name: name_of(builder, "BatchNorm2d"),
            weight: builder.param("weight", &[channels], Init::Constant(1.0)),
            bias: builder.param("bias", &[channels], Init::Constant(0.0)),
            running_mean: builder.buffer("running_mean", &[channels], 0.0),
            running_var: builder.buffer("running_var", &[channels], 1.0),
            batches: builder.integer_buffer("num_batches_tracked", &[], 0.0, Integer::I64),
            options,
        }
    }
}

impl BatchNorm2d {
    /// The output for `x`, in training or in evaluation.
    ///
    /// # Errors
    /// [`crate::Error::Layer`] if `x` does not fit.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let running = RunningStats {
            mean: self.running_mean.tensor()?.clone(),
            var: self.running_var.tensor()?.clone(),
            batches: self.batches.tensor()?.clone(),
        };
        let (weight, bias) = (self.weight.tensor()?, self.bias.tensor()?);
        let y = match mode {
            Mode::Train => x.batch_norm2d(weight, bias, &running, self.options),
            Mode::Eval => x.batch_norm2d_eval(weight, bias, &running, self.options),
        };
        in_layer(&self.name, y)
    }
}

impl Module for BatchNorm2d {
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        self.forward(x, mode)
    }
}
