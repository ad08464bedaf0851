//! [`ClassCounts`]: a confusion matrix counted on the device.

use wgrad_autograd::{DType, Gpu, Tensor};
use wgrad_nn::StateDict;

use super::metric_state::{number, tensor, wrong};
use super::outputs::{class_targets, classes_of, one_hot};
use super::{ConfusionMatrix, Outputs};
use crate::{Error, Result};

/// Counts what rows were taken for, batch by batch, in a matrix `[classes, classes]` on the device.
///
/// A batch costs a product of two matrices `[n, classes]`; for vocabularies of many thousands of classes count with
/// [`Hits`](super::Hits) instead.
pub struct ClassCounts {
    outputs: Outputs,
    threshold: f32,
    rows: u64,
    /// Of type i32, from the first batch on.
    counts: Option<Tensor>,
}

impl ClassCounts {
    /// For these outputs. Where they have one score for each row, a row is of class 1 if the probability is more than
    /// `threshold`; otherwise the class of the largest score is taken, and of equal ones the first.
    pub fn new(outputs: Outputs, threshold: f32) -> Self {
        Self { outputs, threshold, rows: 0, counts: None }
    }

    /// Counts a batch. Nothing waits for the device.
    ///
    /// # Errors
    /// [`Error::Model`] for shapes that don't fit each other, or the batches before; [`Error::Usage`] for a threshold that is no
    /// probability.
    pub fn update(&mut self, output: &Tensor, targets: &Tensor) -> Result<()> {
        let (classes, targets) = (classes_of(output)?, class_targets(output, targets)?);
        if targets.is_empty() {
            return Ok(());
        }
        self.rows += targets.numel() as u64;
        let decided = one_hot(&self.outputs.decide(output, self.threshold)?, classes)?;
        // Sums of ones: exact in f32 for a batch, and in i32 for all of them.
        let counts = one_hot(&targets, classes)?.transpose(0, 1)?.matmul(&decided)?.to_dtype(DType::I32)?;
        self.counts = Some(match self.counts.take() {
            Some(sum) => sum.add(&counts)?,
            None => counts,
        });
        Ok(())
    }

    /// Reads the matrix, and begins anew; `None` where no row was counted.
    ///
    /// # Errors
    /// [`Error::Usage`] where targets were no classes of the output, and what the device reports.
    pub fn take(&mut self) -> Result<Option<ConfusionMatrix>> {
        let rows = std::mem::take(&mut self.rows);
        let Some(counts) = self.counts.take() else { return Ok(None) };
        let classes = counts.shape()[0];
        let counts = counts.to_vec_as::<i32>()?.into_iter().map(|count| count as u64).collect();
        let matrix = ConfusionMatrix::new(classes, counts)?;
        if matrix.total() == rows {
            return Ok(Some(matrix));
        }
        let message = format!(
            "{} of {rows} targets are no class: the output has the classes 0 to {}",
            rows - matrix.total(),
            classes - 1
        );
        Err(Error::Usage(message))
    }

    /// Counts go into states as two halves of 16 bits, which floats hold exactly.
    pub(super) fn save(&self) -> Result<StateDict> {
        let mut state = StateDict::default();
        state.metadata.insert("rows".to_owned(), self.rows.to_string());
        if let Some(counts) = &self.counts {
            let values = counts.to_vec_as::<i32>()?;
            let half =
                |shift: u32| values.iter().map(move |count| ((*count as u32 >> shift) & 0xffff) as f32);
            let (shape, halves) = ([&[2], counts.shape()].concat(), half(0).chain(half(16)).collect());
            state.tensors.insert("counts".to_owned(), (shape, halves));
        }
        Ok(state)
    }

    pub(super) fn load(&mut self, gpu: &Gpu, state: &StateDict) -> Result<()> {
        self.rows = number(state, "rows")?;
        self.counts = None;
        if self.rows > 0 {
            let (shape, halves) = tensor(state, "counts")?;
            let &[2, classes, other] = shape else { return Err(wrong("counts")) };
            let (low, high) = halves.split_at(halves.len() / 2);
            let whole = |(low, high): (&f32, &f32)| (*low as u32 | (*high as u32) << 16) as i32;
            let counts: Vec<i32> = low.iter().zip(high).map(whole).collect();
            self.counts = Some(Tensor::from_slice(gpu, &counts, &[classes, other])?);
        }
        Ok(())
    }
}
