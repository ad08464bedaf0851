//! Copies of a model's parameters and buffers on the device.

use wgrad_autograd::Tensor;
use wgrad_nn::{FlatValues, Parameters};

use crate::Result;

/// The values of buffers at some time.
pub(crate) struct Buffers {
    parameters: Parameters,
    values: Vec<Tensor>,
}

impl Buffers {
    /// What the model has now.
    pub(crate) fn of(parameters: &Parameters) -> Result<Self> {
        let values = parameters.buffer_flats().iter().map(copy).collect::<Result<_>>()?;
        Ok(Self { parameters: parameters.clone(), values })
    }

    /// Puts them back into the model.
    pub(crate) fn restore(&self) -> Result<()> {
        self.parameters.buffer_flats().iter().zip(&self.values).try_for_each(|(to, from)| write(from, to))
    }
}

/// The values of parameters and buffers at some time.
pub(crate) struct Weights {
    values: FlatValues,
    buffers: Buffers,
}

impl Weights {
    /// What the model has now.
    pub(crate) fn of(parameters: &Parameters) -> Result<Self> {
        Ok(Self { values: parameters.values().copy()?, buffers: Buffers::of(parameters)? })
    }

    /// Puts it back into the model.
    pub(crate) fn restore(&self) -> Result<()> {
        self.buffers.parameters.values().assign(&self.values)?;
        self.buffers.restore()
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
