//! [`Hits`]: how often the right class was among the first.

use wgrad_autograd::{Error as OpError, Tensor};
use wgrad_nn::StateDict;

use super::Outputs;
use super::metric_state::number;
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
    /// Hits of rows that a run counted before it was resumed.
    earlier: i64,
}

impl Hits {
    /// For these outputs.
    pub fn new(outputs: Outputs, top: TopK) -> Self {
        Self { outputs, top, rows: 0, hits: None, earlier: 0 }
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
        let (rows, hits) = (std::mem::take(&mut self.rows), self.count()?);
        (self.hits, self.earlier) = (None, 0);
        Ok(hits as f64 / rows as f64)
    }

    /// Hits so far.
    fn count(&self) -> Result<i64> {
        let hits = self.hits.as_ref().map(Tensor::to_vec_as::<i32>).transpose()?;
        Ok(self.earlier + hits.map_or(0, |hits| i64::from(hits[0])))
    }

    pub(super) fn save(&self) -> Result<StateDict> {
        let mut state = StateDict::default();
        state.metadata.insert("rows".to_owned(), self.rows.to_string());
        state.metadata.insert("hits".to_owned(), self.count()?.to_string());
        Ok(state)
    }

    pub(super) fn load(&mut self, state: &StateDict) -> Result<()> {
        (self.rows, self.earlier) = (number(state, "rows")?, number(state, "hits")?);
        Ok(())
    }
}
