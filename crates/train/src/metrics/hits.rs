//! [`Hits`]: how often the right class was among the first.

use wgrad_autograd::{Error as OpError, Tensor};

use super::Outputs;
use super::outputs::{class_targets, single_column};
use crate::{Error, Result};

/// Which answers count as right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TopK {
    /// The class that was decided for, as [`ClassCounts`](super::ClassCounts) does: accuracy.
    Decision {
        /// The probability above which a row is of class 1, where outputs have one score for each row.
        threshold: f32,
    },
    /// Any of the so many classes with the largest scores. Of equal scores the first class's counts as larger, as with `argmax`;
    /// scikit-learn takes the last.
    Largest(usize),
}

/// Counts the rows that were answered rightly, on the device.
pub struct Hits {
    outputs: Outputs,
    top: TopK,
    rows: u64,
    hits: Option<Tensor>,
}

impl Hits {
    /// For these outputs.
    pub fn new(outputs: Outputs, top: TopK) -> Self {
        Self { outputs, top, rows: 0, hits: None }
    }

    /// Counts a batch. Nothing waits for the device. A target that is no class counts as a wrong answer.
    ///
    /// # Errors
    /// [`Error::Model`] for shapes that don't fit each other, and fewer classes than are looked among; [`Error::Usage`] for a
    /// threshold that is no probability, or no classes to look among.
    pub fn update(&mut self, output: &Tensor, targets: &Tensor) -> Result<()> {
        let targets = class_targets(output, targets)?;
        if targets.is_empty() {
            return Ok(());
        }
        let hits = match self.top {
            TopK::Decision { threshold } => self.outputs.decide(output, threshold)?.equal(&targets)?,
            TopK::Largest(0) => return Err(Error::Usage("top-0 accuracy: take at least 1".to_owned())),
            TopK::Largest(_) if single_column(output).is_some() => {
                let message = format!("an output {:?}: top-k needs a score for each class", output.shape());
                return Err(OpError::shape("top_k", message).into());
            }
            TopK::Largest(k) => output.detach().topk(k)?.1.equal(&targets.unsqueeze(1)?)?,
        };
        self.rows += targets.numel() as u64;
        let hits = hits.sum_all()?;
        self.hits = Some(match self.hits.take() {
            Some(sum) => sum.add(&hits)?,
            None => hits,
        });
        Ok(())
    }

    /// Reads the share of rows that were answered rightly, 0 to 1, and begins anew; NaN where there were none.
    ///
    /// # Errors
    /// What the device reports.
    pub fn take(&mut self) -> Result<f64> {
        let rows = std::mem::take(&mut self.rows);
        let Some(hits) = self.hits.take() else { return Ok(f64::NAN) };
        Ok(f64::from(hits.to_vec_as::<i32>()?[0]) / rows as f64)
    }
}
