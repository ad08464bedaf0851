//! Batch normalisation layer.

use std::sync::Arc;

use wgrad_autograd::{BatchNormOptions, DType, RunningStats, Tensor, no_grad};
use wgrad_distributed::Communicator;

use super::{Mode, Module, in_layer, name_of};
use crate::parameters::Void;
use crate::{Builder, Init, Integer, Param, Result, moments};

/// Normalises each channel: by the batch's statistics in training, which also move the running estimates, and by these
/// in evaluation. Counterpart: `torch.nn.BatchNorm2d`, followed by a ReLU if the options say so.
///
/// Shape: `[n, channels, h, w]`, kept; parameters `weight` and `bias`, buffers `running_mean` and `running_var`, all
/// `[channels]`, and `num_batches_tracked`.
///
/// A model that is built with [`BuildOptions::synchronized`](crate::BuildOptions::synchronized) normalises by the batches of all ranks
/// together, as `torch.nn.SyncBatchNorm` does: each sample counts alike, however many a rank has, and the running estimates of all
/// ranks are equal.
pub struct BatchNorm2d {
    name: String,
    weight: Param,
    bias: Param,
    running_mean: Param,
    running_var: Param,
    batches: Param,
    options: BatchNormOptions,
    /// Those over whose batches it normalises, where there are others.
    ranks: Option<Arc<dyn Communicator>>,
    void: Void,
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
            ranks: builder.synchronized().cloned(),
            void: builder.void(),
        }
    }
}

impl BatchNorm2d {
    /// The output for `x`, in training or in evaluation.
    ///
    /// # Errors
    /// [`crate::Error::Layer`] if `x` does not fit, or where another rank is gone.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let running = RunningStats {
            mean: self.running_mean.tensor()?.clone(),
            var: self.running_var.tensor()?.clone(),
            batches: self.batches.tensor()?.clone(),
        };
        let (weight, bias) = (self.weight.tensor()?, self.bias.tensor()?);
        let y = match (mode, &self.ranks) {
            (Mode::Train, Some(ranks)) => self.synchronized(x, weight, bias, &running, ranks),
            (Mode::Train, None) => x.batch_norm2d(weight, bias, &running, self.options),
            (Mode::Eval, _) => x.batch_norm2d_eval(weight, bias, &running, self.options),
        };
        in_layer(&self.name, y)
    }

    /// As [`Tensor::batch_norm2d`], by the moments over all ranks.
    fn synchronized(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        running: &RunningStats,
        ranks: &Arc<dyn Communicator>,
    ) -> wgrad_autograd::Result<Tensor> {
        let values = x.to_dtype(DType::F32)?;
        let ([mean, var], count) = moments::over_ranks(&values, ranks, &self.void)?;
        let batches = running.batches.clone();
        let given = RunningStats { mean: mean.clone(), var: var.clone(), batches };
        let y = values.batch_norm2d_eval(weight, bias, &given, self.options)?.to_dtype(x.dtype())?;
        let momentum = self.options.momentum;
        let unbiased = (count as f64 / (count - 1) as f64) as f32;
        no_grad(|| {
            move_to(&running.mean, &mean, [1.0 - momentum, momentum])?;
            move_to(&running.var, &var, [1.0 - momentum, momentum * unbiased])?;
            set(&running.batches, &running.batches.mul_add_scalar(1.0, 1.0)?)
        })?;
        Ok(y)
    }
}

/// `estimate ← keep · estimate + take · found`.
fn move_to(estimate: &Tensor, found: &Tensor, [keep, take]: [f32; 2]) -> wgrad_autograd::Result<()> {
    set(estimate, &estimate.mul_add_scalar(keep, 0.0)?.add(&found.mul_add_scalar(take, 0.0)?)?)
}

/// Writes values to where a buffer's lie.
fn set(buffer: &Tensor, values: &Tensor) -> wgrad_autograd::Result<()> {
    Ok(buffer.gpu().copy(&values.bind(), &buffer.bind())?)
}

impl Module for BatchNorm2d {
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        self.forward(x, mode)
    }
}
