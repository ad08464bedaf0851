//! Copies of a model's parameters and buffers on the device.

use wgrad_autograd::Tensor;
use wgrad_nn::{FlatValues, Parameters};

use crate::Result;

/// The values of parameters and buffers at some time.
pub(crate) struct Weights {
    parameters: Parameters,
    values: FlatValues,
    buffers: Vec<Tensor>,
}

impl Weights {
    /// What the model has now.
    pub(crate) fn of(parameters: &Parameters) -> Result<Self> {
        let buffers = parameters.buffer_flats().iter().map(copy).collect::<Result<_>>()?;
        Ok(Self { parameters: parameters.clone(), values: parameters.values().copy()?, buffers })
    }

    /// Puts it back into the model.
    pub(crate) fn restore(&self) -> Result<()> {
        self.parameters.values().assign(&self.values)?;
        self.restore_buffers()
    }

    /// Puts the buffers back into the model.
    pub(crate) fn restore_buffers(&self) -> Result<()> {
        self.parameters.buffer_flats().iter().zip(&self.buffers).try_for_each(|(to, from)| write(from, to))
    }
}

pub(crate) fn copy(flat: &Tensor) -> Result<Tensor> {
    let copy = Tensor::empty(flat.gpu(), flat.shape())?;
    write(flat, &copy)?;
    Ok(copy)
}

/// Overwrites `to` by the values of `from`.
pub(crate) fn write(from: &Tensor, to: &Tensor) -> Result<()> {
    if from.numel() > 0 {
        to.gpu().copy(&from.bind(), &to.bind())?;
    }
    Ok(())
}
