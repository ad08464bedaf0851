//! [`Callback`]: what else happens while a model is trained, and [`Fit`], what it sees of it.

use wgrad_nn::{Gradients, Parameters, StateDict};

use super::history::{EpochRecord, History};
use super::means::Means;
use crate::{Error, Result};

/// Something that is told of the moments of a fit, can ask for its end, and has a state that checkpoints keep. All methods do
/// nothing unless they are written. Counterpart: a Lightning `Callback`.
///
/// An error of any of them ends the fit.
#[expect(unused_variables, reason = "names of parameters are documentation")]
pub trait Callback {
    /// The name under which checkpoints keep the state.
    fn name(&self) -> &str;

    /// Comes before the first step, once a resumed state has been loaded.
    ///
    /// # Errors
    /// For what makes no sense in this fit.
    fn on_fit_start(&mut self, fit: &mut Fit) -> Result<()> {
        Ok(())
    }

    /// Comes before an epoch, or before the rest of one that is resumed.
    ///
    /// # Errors
    /// Any, which ends the fit.
    fn on_epoch_start(&mut self, fit: &mut Fit) -> Result<()> {
        Ok(())
    }

    /// Comes before the batches of a step are drawn.
    ///
    /// # Errors
    /// Any, which ends the fit.
    fn on_step_start(&mut self, fit: &mut Fit) -> Result<()> {
        Ok(())
    }

    /// Comes between the backward pass of a step and what is made of its gradient, which may be changed: that of all its batches,
    /// and of all ranks unless each makes steps of its own, before it is clipped. Ranks that change it are to do so alike. It does
    /// not come where nothing counts in a step. Counterpart: Lightning's hook of this name.
    ///
    /// # Errors
    /// Any, which ends the fit.
    fn on_before_optimizer_step(&mut self, fit: &mut Fit, gradients: &mut Gradients) -> Result<()> {
        Ok(())
    }

    /// Comes after each optimizer step, and after each step that was skipped.
    ///
    /// # Errors
    /// Any, which ends the fit.
    fn on_step_end(&mut self, fit: &mut Fit) -> Result<()> {
        Ok(())
    }

    /// Comes when the steps of an epoch are made, before its figures are known, while the weights to be validated are in the model.
    ///
    /// # Errors
    /// Any, which ends the fit.
    fn on_validation_start(&mut self, fit: &mut Fit) -> Result<()> {
        Ok(())
    }

    /// Comes when the figures of an epoch are complete, while the weights that were validated are in the model: the averaged ones,
    /// where there are any.
    ///
    /// # Errors
    /// Any, which ends the fit.
    fn on_validation_end(&mut self, fit: &mut Fit) -> Result<()> {
        Ok(())
    }

    /// Comes at the end of an epoch, when the weights that training goes on from are back in the model.
    ///
    /// # Errors
    /// Any, which ends the fit.
    fn on_epoch_end(&mut self, fit: &mut Fit) -> Result<()> {
        Ok(())
    }

    /// Comes last, whatever ended the fit, an error included.
    ///
    /// # Errors
    /// Any; an error that came before is the one that the fit returns.
    fn on_fit_end(&mut self, fit: &mut Fit) -> Result<()> {
        Ok(())
    }

    /// Takes what [`Fit::say`] was given, by this callback or another one, in the moment after.
    fn on_message(&mut self, text: &str) {}

    /// Gives what a resumed fit needs.
    ///
    /// # Errors
    /// What reading it takes.
    fn save_state(&self) -> Result<StateDict> {
        Ok(StateDict::default())
    }

    /// Takes what [`Callback::save_state`] gave.
    ///
    /// # Errors
    /// For a state that makes no sense; nothing is then changed.
    fn load_state(&mut self, state: &StateDict) -> Result<()> {
        Ok(())
    }

    /// Gives the state to continue from, before anything else; the first callback that has one decides.
    ///
    /// # Errors
    /// For a state that cannot be read.
    fn resume(&mut self, fit: &mut Fit) -> Result<Option<Saved>> {
        Ok(None)
    }

    /// Says whether the state is to be made now and given to [`Callback::on_checkpoint`]. It is asked after each step that does not
    /// end an epoch, after each epoch, and at the end of a fit that did not fail.
    fn wants_checkpoint(&mut self, fit: &Fit, moment: Moment) -> bool {
        false
    }

    /// Takes the whole state of the fit.
    ///
    /// # Errors
    /// For a place that cannot be written.
    fn on_checkpoint(&mut self, fit: &mut Fit, state: &StateDict) -> Result<()> {
        Ok(())
    }

    /// Says, for an error, where the last state is kept: nothing, or a text that begins with a separator.
    fn kept(&self) -> String {
        String::new()
    }
}

/// When a checkpoint may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// After a step, within an epoch.
    Step,
    /// After an epoch.
    Epoch,
    /// After the last step of the fit.
    End,
}

/// A state to continue from.
#[derive(Clone, Debug)]
pub struct Saved {
    /// What [`Callback::on_checkpoint`] was given.
    pub state: StateDict,
    /// What errors call it.
    pub file: String,
    /// Whether the callback has made sure that the state belongs to this run and its data, which is otherwise compared.
    pub is_checked: bool,
}

/// Where a fit stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Place {
    /// Steps made, without skipped ones.
    pub step: u64,
    /// Epochs completed.
    pub epoch: usize,
    /// Rows of the current epoch already seen.
    pub rows: usize,
    /// Steps that were skipped.
    pub skipped: u64,
    /// Of the losses of the current epoch so far.
    pub means: Means,
}

/// A fit as its callbacks see it.
#[derive(Debug)]
pub struct Fit {
    pub(crate) parameters: Parameters,
    pub(crate) place: Place,
    pub(crate) epochs: usize,
    pub(crate) epoch_rows: usize,
    pub(crate) lr: f64,
    pub(crate) history: History,
    /// Names of figures of which a larger value is better.
    pub(crate) higher: Vec<String>,
    pub(crate) validates: bool,
    pub(crate) stop: Option<String>,
    pub(crate) failed: bool,
    pub(crate) messages: Vec<String>,
}

impl Fit {
    /// The model's parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Steps made so far, those before a resumption included and skipped ones not.
    pub fn step(&self) -> u64 {
        self.place.step
    }

    /// Epochs completed so far; at an epoch's end it counts.
    pub fn epoch(&self) -> usize {
        self.place.epoch
    }

    /// Epochs of the whole fit.
    pub fn epochs(&self) -> usize {
        self.epochs
    }

    /// Rows of the current epoch that were seen.
    pub fn rows(&self) -> usize {
        self.place.rows
    }

    /// Rows of an epoch.
    pub fn epoch_rows(&self) -> usize {
        self.epoch_rows
    }

    /// Steps that were skipped because their gradient was not finite.
    pub fn skipped(&self) -> u64 {
        self.place.skipped
    }

    /// The learning rate of the last step.
    pub fn lr(&self) -> f64 {
        self.lr
    }

    /// The figures of all epochs so far.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Whether an error has ended the fit.
    pub fn failed(&self) -> bool {
        self.failed
    }

    /// Asks for the end of the fit after the current step, or the current moment at an epoch's end.
    pub fn stop(&mut self, reason: impl Into<String>) {
        self.stop.get_or_insert(reason.into());
    }

    /// Says something to whoever watches: it is printed, where the fit shows its progress, given to
    /// [`Callback::on_message`], and kept in the history.
    pub fn say(&mut self, text: impl Into<String>) {
        self.messages.push(text.into());
    }

    /// Says that the model has the weights of this epoch from now on, counted from 1: [`History::restored`].
    pub fn restored(&mut self, epoch: usize) {
        self.history.restored = Some(epoch);
    }

    /// Whether a larger value of this figure is better, as metrics say; of losses a smaller one is.
    pub fn higher_is_better(&self, name: &str) -> bool {
        self.higher.iter().any(|known| known == name)
    }

    /// Fails for the name of a figure that there cannot be, before the first step.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn check_figure(&self, name: &str) -> Result<()> {
        if name.starts_with("val_") && !self.validates {
            return Err(Error::Usage(format!("{name} needs a validation set: give the trainer one")));
        }
        Ok(())
    }

    /// The figure `name` of the epoch that ended last.
    ///
    /// # Errors
    /// [`Error::Usage`], with the names that there are.
    pub fn figure(&self, name: &str) -> Result<f64> {
        let last = self.history.epochs.last();
        last.and_then(|record| record.get(name)).ok_or_else(|| {
            let known: Vec<&str> = last.map(EpochRecord::names).into_iter().flatten().collect();
            Error::Usage(format!("there is no figure {name}: there are {}", known.join(", ")))
        })
    }
}
