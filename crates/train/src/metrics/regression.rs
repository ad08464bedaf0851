//! Metrics of numbers against numbers.

use std::collections::VecDeque;

use wgrad_autograd::device::Pending;
use wgrad_autograd::{DType, Error as OpError, Gpu, Tensor};
use wgrad_nn::StateDict;

use super::metric_state::{tensor, wrong};
use crate::Result;

/// Batches whose sums are under way at most.
const LAG: usize = 16;

/// How far predictions are from their targets. Targets of several columns have scores of their own, of which these are the
/// means, as with scikit-learn's `multioutput="uniform_average"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RegressionScores {
    /// Mean absolute error, in the targets' unit: `mean_absolute_error`.
    pub mae: f64,
    /// Root of the mean squared error over all rows, in the targets' unit: `root_mean_squared_error`.
    pub rmse: f64,
    /// Coefficient of determination: `r2_score`. 1 is perfect, 0 as good as always the mean. For targets that are all equal it
    /// is 1 where every prediction is right and 0 otherwise, and with fewer than two rows it is NaN: undefined.
    pub r2: f64,
}

/// Sums of errors, computed on the device for each batch, and added up as f64.
///
/// What is added up of the targets is their distance from the first row's, so that large targets that differ little, or not at
/// all, keep their digits.
#[derive(Default)]
pub struct RegressionSums {
    /// The first row's targets, `[1, columns]`.
    first: Option<Tensor>,
    /// Rows of each batch, and `[4, columns]` of it, as far as they have been read.
    known: Vec<(usize, Vec<f32>)>,
    /// The same of the last batches.
    batches: VecDeque<(usize, Pending<f32>)>,
}

/// Of one column: sums over rows, the mean of the targets, and the sum of their squared distances from it.
#[derive(Clone, Copy, Default)]
struct Sums {
    rows: f64,
    absolute: f64,
    squared: f64,
    mean: f64,
    spread: f64,
}

impl Sums {
    /// Chan's sums of two parts.
    fn with(self, part: Sums) -> Sums {
        let rows = self.rows + part.rows;
        let distance = part.mean - self.mean;
        Sums {
            rows,
            absolute: self.absolute + part.absolute,
            squared: self.squared + part.squared,
            mean: self.mean + distance * part.rows / rows,
            spread: self.spread + part.spread + distance * distance * self.rows * part.rows / rows,
        }
    }

    fn r2(self) -> f64 {
        if self.rows < 2.0 {
            f64::NAN
        } else if self.spread == 0.0 {
            f64::from(u8::from(self.squared == 0.0))
        } else {
            1.0 - self.squared / self.spread
        }
    }
}

impl RegressionSums {
    /// Adds a batch: predictions and targets `[n, ..]` of as many elements. Nothing waits for the device.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) for shapes that don't fit each other, or the batches before.
    pub fn update(&mut self, output: &Tensor, targets: &Tensor) -> Result<()> {
        let rows = targets.shape().first().copied().unwrap_or(0);
        if output.numel() != targets.numel() || output.shape().first() != targets.shape().first() {
            let message = format!(
                "predictions {:?} for targets {:?}: give as many, in rows along the first axis",
                output.shape(),
                targets.shape()
            );
            return Err(OpError::shape("metrics", message).into());
        }
        if targets.is_empty() {
            return Ok(());
        }
        let shape = [rows, targets.numel() / rows];
        let flat = |x: &Tensor| x.detach().to_dtype(DType::F32)?.reshape(&shape);
        let (output, targets) = (flat(output)?, flat(targets)?);
        let first = match &self.first {
            Some(first) => first.clone(),
            None => targets.narrow(0, 0, 1)?.contiguous()?,
        };
        let error = output.sub(&targets)?;
        let distance = targets.sub(&first)?;
        let sums = [
            error.abs()?.sum(&[0])?,
            error.square()?.sum(&[0])?,
            distance.mean(&[0])?,
            distance.var(&[0], 0)?,
        ];
        let sums = Tensor::stack(&sums.each_ref(), 0)?;
        self.batches.push_back((rows, sums.read_later()?));
        self.first = Some(first);
        self.read(LAG)
    }

    /// Waits for all but the last batches.
    fn read(&mut self, last: usize) -> Result<()> {
        while self.batches.len() > last {
            let Some((rows, sums)) = self.batches.pop_front() else { break };
            self.known.push((rows, sums.wait()?));
        }
        Ok(())
    }

    pub(super) fn save(&mut self) -> Result<StateDict> {
        self.read(0)?;
        let mut state = StateDict::default();
        let Some(first) = &self.first else { return Ok(state) };
        let columns = first.numel();
        state.tensors.insert("first".to_owned(), (vec![1, columns], first.to_vec()?));
        let rows: Vec<f32> = self.known.iter().map(|(rows, _)| *rows as f32).collect();
        let sums: Vec<f32> = self.known.iter().flat_map(|(_, sums)| sums).copied().collect();
        state.tensors.insert("rows".to_owned(), (vec![rows.len()], rows));
        state.tensors.insert("sums".to_owned(), (vec![self.known.len(), 4, columns], sums));
        Ok(state)
    }

    pub(super) fn load(&mut self, gpu: &Gpu, state: &StateDict) -> Result<()> {
        *self = Self::default();
        if state.tensors.is_empty() {
            return Ok(());
        }
        let (shape, first) = tensor(state, "first")?;
        let (_, rows) = tensor(state, "rows")?;
        let (_, sums) = tensor(state, "sums")?;
        if first.is_empty() || sums.len() != rows.len() * 4 * first.len() {
            return Err(wrong("sums"));
        }
        let sums = sums.chunks(4 * first.len()).map(<[f32]>::to_vec);
        self.known = rows.iter().map(|rows| *rows as usize).zip(sums).collect();
        self.first = Some(Tensor::from_slice(gpu, first, shape)?);
        Ok(())
    }

    /// Waits for the sums and gives the scores of all rows, and begins anew; all NaN where there were none.
    ///
    /// # Errors
    /// What the device reports.
    pub fn take(&mut self) -> Result<RegressionScores> {
        self.first = None;
        self.read(0)?;
        let mut columns: Vec<Sums> = Vec::new();
        for (rows, sums) in std::mem::take(&mut self.known) {
            let count = sums.len() / 4;
            columns.resize(count, Sums::default());
            for (column, sum) in columns.iter_mut().enumerate() {
                let [absolute, squared, mean, variance] =
                    [0, 1, 2, 3].map(|row| f64::from(sums[row * count + column]));
                let rows = rows as f64;
                *sum = sum.with(Sums { rows, absolute, squared, mean, spread: variance * rows });
            }
        }
        let mean = |score: fn(&Sums) -> f64| columns.iter().map(score).sum::<f64>() / columns.len() as f64;
        Ok(RegressionScores {
            mae: mean(|sums| sums.absolute / sums.rows),
            rmse: mean(|sums| (sums.squared / sums.rows).sqrt()),
            r2: mean(|sums| sums.r2()),
        })
    }
}
