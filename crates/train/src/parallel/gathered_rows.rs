//! Predictions of all ranks, for metrics of all rows.

use wgrad_autograd::device::Pending;
use wgrad_autograd::{DType, Gpu, Tensor};
use wgrad_distributed::all_gather_bytes;

use super::DataParallel;
use crate::{Error, Result};

/// A tensor of one rank on its way to all.
pub(crate) struct RowsToGather {
    gpu: Gpu,
    shape: Vec<usize>,
    values: PendingValues,
}

enum PendingValues {
    Floats(Pending<f32>),
    Integers(Pending<i32>),
    None,
}

impl RowsToGather {
    /// Records the read of `x`, of shape `[rows, ..]`.
    pub(crate) fn new(x: &Tensor) -> Result<Self> {
        let values = if x.is_empty() {
            PendingValues::None
        } else if x.dtype().is_float() {
            PendingValues::Floats(x.detach().to_dtype(DType::F32)?.read_later()?)
        } else {
            PendingValues::Integers(x.detach().to_dtype(DType::I32)?.read_later_as()?)
        };
        Ok(Self { gpu: x.gpu().clone(), shape: x.shape().to_vec(), values })
    }

    /// The rows of all ranks, one rank's after the other's.
    pub(crate) fn gather(self, parallel: &DataParallel) -> Result<Tensor> {
        let (bytes, is_float) = match self.values {
            PendingValues::Floats(values) => {
                (bytemuck::cast_slice::<f32, u8>(&values.wait()?).to_vec(), true)
            }
            PendingValues::Integers(values) => {
                (bytemuck::cast_slice::<i32, u8>(&values.wait()?).to_vec(), false)
            }
            PendingValues::None => (Vec::new(), false),
        };
        // What a row is like, from a rank that has one.
        let mut words = vec![u8::from(is_float)];
        words.extend(self.shape.iter().flat_map(|&axis| (axis as u64).to_le_bytes()));
        let shapes = all_gather_bytes(&*parallel.ranks, &words)?;
        let all = all_gather_bytes(&*parallel.ranks, &bytes)?.concat();
        let mut known = shapes.iter().map(|words| shape(words)).filter(|(_, shape)| !shape.contains(&0));
        let (is_float, mut shape) = known.next().unwrap_or((is_float, self.shape));
        let is_alike =
            |(other, axes): (bool, Vec<usize>)| other == is_float && axes.get(1..) == shape.get(1..);
        let row: usize = shape.iter().skip(1).product();
        if !known.all(is_alike) || shape.is_empty() || row == 0 || all.len() % (4 * row) != 0 {
            let message = "ranks judge predictions or targets of other shapes or types: all have the same axes but for the rows";
            return Err(Error::Usage(message.to_owned()));
        }
        shape[0] = all.len() / 4 / row;
        Ok(if is_float {
            Tensor::from_slice(&self.gpu, &bytemuck::pod_collect_to_vec::<u8, f32>(&all), &shape)?
        } else {
            Tensor::from_slice(&self.gpu, &bytemuck::pod_collect_to_vec::<u8, i32>(&all), &shape)?
        })
    }
}

/// What a rank says of its tensor.
fn shape(words: &[u8]) -> (bool, Vec<usize>) {
    let Some((is_float, axes)) = words.split_first() else { return (false, vec![0]) };
    let axis = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes) as usize;
    (*is_float == 1, axes.chunks_exact(8).map(axis).collect())
}
