//! [`Logger`]: where figures are written as they come.

use crate::Result;

/// Takes figures by name while a model is trained, and writes them somewhere. Counterpart: a Lightning `Logger`.
///
/// The trainer logs `loss`, `lr` and what else it knows of each step, and the figures of each epoch: `epoch`, `train_loss`,
/// `val_loss` and the metrics (`val_accuracy`), `lr`, `seconds`. A figure may be NaN or infinite.
pub trait Logger {
    /// Comes before the first step. `step` is the number of steps made before: not 0 where a run is resumed, and what was logged
    /// of later steps is then to be dropped, because these are made anew.
    ///
    /// # Errors
    /// For a place that cannot be written.
    fn start(&mut self, step: u64) -> Result<()> {
        let _ = step;
        Ok(())
    }

    /// Takes the figures of step number `step`, counted from 1, or of the epoch that ended with it. The order of steps never goes
    /// back.
    ///
    /// # Errors
    /// For a place that cannot be written.
    fn log(&mut self, step: u64, values: &[(&str, f64)]) -> Result<()>;

    /// Comes after the last step, also where an error ends the run.
    ///
    /// # Errors
    /// For a place that cannot be written.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
