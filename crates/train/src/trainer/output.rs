//! [`Output`]: what a step's closure gives the trainer.

use wgrad_autograd::Tensor;

use crate::Result;

/// Figures of the trainer's own, beside which the parts of a loss are logged.
const OWN_NAMES: [&str; 7] = ["loss", "lr", "grad_norm", "epoch", "step", "seconds", "skipped"];

/// A batch's loss, and where metrics are wanted, its predictions and targets. A loss tensor alone becomes one by `into`.
#[derive(Clone, Debug)]
pub struct Output {
    pub(crate) loss: Tensor,
    /// Losses that `loss` is the weighted sum of.
    pub(crate) parts: Vec<(String, Tensor)>,
    pub(crate) judged: Option<(Tensor, Tensor)>,
    pub(crate) weight: Option<f64>,
    /// Whether the closure said the weight.
    pub(crate) is_counted: bool,
}

impl Output {
    /// The output with this loss, a scalar, which is taken for the mean over the rows of the batch.
    pub fn new(loss: Tensor) -> Self {
        Self { loss, parts: Vec::new(), judged: None, weight: None, is_counted: false }
    }

    /// The output of several losses, each with a name and a weight: the loss is their weighted sum, and each is logged apart,
    /// without its weight, as `train_<name>` and `val_<name>`.
    ///
    /// # Errors
    /// [`crate::Error::Usage`] where there are none, or for a name that is given twice, is one of the log's own (such as `loss`) or has
    /// a line break; [`crate::Error::Model`] for a loss that is no scalar.
    pub fn weighted<'n>(losses: impl IntoIterator<Item = (&'n str, Tensor, f32)>) -> Result<Self> {
        let (mut sum, mut parts): (Option<Tensor>, Vec<(String, Tensor)>) = (None, Vec::new());
        for (name, loss, weight) in losses {
            let is_known = OWN_NAMES.contains(&name) || parts.iter().any(|(known, _)| known == name);
            if is_known || name.contains(char::is_control) {
                let message = format!(
                    "a loss is called {name:?}: give each a name of its own in one line, and none of {}",
                    OWN_NAMES.join(", ")
                );
                return Err(crate::Error::Usage(message));
            }
            let term = loss.mul_add_scalar(weight, 0.0)?;
            sum = Some(match sum {
                Some(sum) => sum.add(&term)?,
                None => term,
            });
            parts.push((name.to_owned(), loss.detach()));
        }
        let loss = sum.ok_or_else(|| crate::Error::Usage("no losses: give at least one".to_owned()))?;
        Ok(Self { parts, ..Self::new(loss) })
    }

    /// Adds the predictions and targets that metrics judge, row by row.
    #[must_use]
    pub fn judged(mut self, prediction: impl std::borrow::Borrow<Tensor>, target: &Tensor) -> Self {
        self.judged = Some((prediction.borrow().detach(), target.detach()));
        self
    }

    /// Sets how many terms the loss is the mean over, where that is not the number of rows: tokens that are not ignored, for
    /// example. Batches count by it in means and in accumulated gradients.
    #[must_use]
    pub fn counted(mut self, terms: f64) -> Self {
        (self.weight, self.is_counted) = (Some(terms), true);
        self
    }

    /// The output with a weight, its own or that of so many rows.
    pub(crate) fn with_weight_of(mut self, rows: usize) -> Result<Self> {
        let weight = *self.weight.get_or_insert(rows as f64);
        if weight >= 0.0 && weight.is_finite() {
            return Ok(self);
        }
        let message = format!("an output counted {weight} times: the number is finite and at least 0");
        Err(crate::Error::Usage(message))
    }
}

impl From<Tensor> for Output {
    fn from(loss: Tensor) -> Self {
        Self::new(loss)
    }
}
