//! [`EarlyStopping`]: the end of a fit whose figures no longer improve.

use wgrad_nn::StateDict;

use super::callback::{Callback, Fit};
use crate::{Error, Result};

/// Ends a fit when a figure has not improved for some epochs, and may put the best weights back. Counterpart: Lightning's and
/// Keras's `EarlyStopping`.
///
/// An epoch improves on the best one so far if its figure is better by more than `min_delta`. NaN never does.
#[derive(Clone, Debug)]
pub struct EarlyStopping {
    figure: String,
    patience: Option<usize>,
    min_delta: f64,
    restores: bool,
    best: Option<f64>,
    /// Epochs since the best one.
    waited: usize,
    weights: Option<StateDict>,
    /// Whether a fit is under way.
    is_active: bool,
}

impl EarlyStopping {
    /// Watches a figure of the history, such as `val_loss` or `val_accuracy`, with a patience of 5 epochs. Of losses a smaller one
    /// is better, of metrics what they say.
    pub fn on(figure: impl Into<String>) -> Self {
        Self {
            figure: figure.into(),
            patience: Some(5),
            min_delta: 0.0,
            restores: false,
            best: None,
            waited: 0,
            weights: None,
            is_active: false,
        }
    }

    /// Ends the fit with the `epochs`-th epoch in a row that has not improved. 0 and 1 both end it with the first such epoch.
    #[must_use]
    pub fn patience(mut self, epochs: usize) -> Self {
        self.patience = Some(epochs);
        self
    }

    /// Never ends the fit: for [`EarlyStopping::restore_best`] alone.
    #[must_use]
    pub fn without_end(mut self) -> Self {
        self.patience = None;
        self
    }

    /// Sets by how much more than nothing a figure must improve.
    #[must_use]
    pub fn min_delta(mut self, delta: f64) -> Self {
        self.min_delta = delta;
        self
    }

    /// Puts the weights and buffers of the best epoch back into the model when the fit ends, whatever ends it: its last epoch,
    /// another callback, an interruption or an error. They are those that were validated: averaged, where there is an average.
    #[must_use]
    pub fn restore_best(mut self) -> Self {
        self.restores = true;
        self
    }

    fn is_exhausted(&self) -> bool {
        self.patience.is_some_and(|patience| self.waited >= patience.max(1))
    }

    fn stop(&self, fit: &mut Fit) {
        fit.stop(format!("{} has not improved for {} epochs", self.figure, self.waited));
    }
}

impl Callback for EarlyStopping {
    fn name(&self) -> &str {
        "early_stopping"
    }

    fn on_fit_start(&mut self, fit: &mut Fit) -> Result<()> {
        if !(self.min_delta >= 0.0 && self.min_delta.is_finite()) {
            let message = format!("early stopping with a min_delta of {}: it is at least 0", self.min_delta);
            return Err(Error::Usage(message));
        }
        self.is_active = true;
        if fit.step() == 0 {
            (self.best, self.waited, self.weights) = (None, 0, None);
        }
        if self.is_exhausted() {
            self.stop(fit);
        }
        fit.check_figure(&self.figure)
    }

    fn on_validation_end(&mut self, fit: &mut Fit) -> Result<()> {
        let value = fit.figure(&self.figure)?;
        let higher = fit.higher_is_better(&self.figure);
        let improves = match self.best {
            None => !value.is_nan(),
            Some(best) if higher => value - best > self.min_delta,
            Some(best) => best - value > self.min_delta,
        };
        if !improves {
            self.waited += 1;
            if self.is_exhausted() {
                self.stop(fit);
            }
            return Ok(());
        }
        (self.best, self.waited) = (Some(value), 0);
        if self.restores {
            self.weights = Some(fit.parameters().state_dict()?);
        }
        Ok(())
    }

    fn on_fit_end(&mut self, fit: &mut Fit) -> Result<()> {
        // A fit that was refused has changed nothing.
        let is_active = std::mem::take(&mut self.is_active);
        let Some(best) = self.weights.as_ref().filter(|_| is_active) else { return Ok(()) };
        fit.parameters().load_state_dict(best, "the best epoch's weights")?;
        // Saved states may say anything.
        if let Some(epoch) = fit.history().epochs.len().checked_sub(self.waited) {
            fit.restored(epoch);
        }
        Ok(())
    }

    fn save_state(&self) -> Result<StateDict> {
        let mut state = self.weights.clone().unwrap_or_default();
        if let Some(best) = self.best {
            state.metadata.insert("best".to_owned(), format!("{:016x}", best.to_bits()));
        }
        state.metadata.insert("waited".to_owned(), self.waited.to_string());
        Ok(state)
    }

    fn load_state(&mut self, state: &StateDict) -> Result<()> {
        let failed = || Error::Usage("best or waited is no number".to_owned());
        let best = state.metadata.get("best").map(|bits| u64::from_str_radix(bits, 16)).transpose();
        let best = best.map_err(|_| failed())?.map(f64::from_bits);
        let waited = state.metadata.get("waited").and_then(|text| text.parse().ok()).ok_or_else(failed)?;
        (self.best, self.waited) = (best, waited);
        if self.restores && !state.tensors.is_empty() {
            let tensors = state.tensors.clone();
            self.weights = Some(StateDict { tensors, ..StateDict::default() });
        }
        Ok(())
    }
}
