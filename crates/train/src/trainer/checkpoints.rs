//! [`Checkpoints`]: files of a run's whole state.

use std::fs::File;
use std::path::PathBuf;

use wgrad_nn::StateDict;

use super::callback::{Callback, Fit, Moment, Saved};
use super::folder::{Folder, parse_best};
use crate::{Error, Result};

/// The best checkpoint so far by a figure.
#[derive(Clone, Debug)]
struct Best {
    figure: String,
    best: Option<(f64, u64)>,
}

/// When checkpoints are made, apart from the last step of a fit.
#[derive(Clone, Copy, Debug)]
enum Every {
    Epochs(usize),
    Steps(u64),
}

/// Writes checkpoints into a folder, from which the run can be resumed: to the bit, after any step. Counterpart: Lightning's
/// `ModelCheckpoint`.
///
/// Files are written whole or not at all. While a fit goes on, its folder is locked by the operating system: another process is
/// refused, and the lock goes with the process, however that ends.
#[derive(Debug)]
pub struct Checkpoints {
    folder: Folder,
    every: Every,
    keep_last: usize,
    best: Vec<Best>,
    resume: bool,
    /// Whether a best checkpoint is to be written.
    due: bool,
    saved_at: Option<u64>,
    lock: Option<File>,
}

impl Checkpoints {
    /// A checkpoint after each epoch, and at the end of the fit, of which the last two are kept: should one be damaged there is
    /// another. The folder is made if it does not exist.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: Folder::new(folder),
            every: Every::Epochs(1),
            keep_last: 2,
            best: Vec::new(),
            resume: false,
            due: false,
            saved_at: None,
            lock: None,
        }
    }

    /// Makes one after every so many epochs.
    #[must_use]
    pub fn every_epochs(mut self, epochs: usize) -> Self {
        self.every = Every::Epochs(epochs);
        self
    }

    /// Makes one after every so many steps, instead of epochs.
    #[must_use]
    pub fn every_steps(mut self, steps: u64) -> Self {
        self.every = Every::Steps(steps);
        self
    }

    /// Keeps so many of the newest checkpoints.
    #[must_use]
    pub fn keep_last(mut self, count: usize) -> Self {
        self.keep_last = count;
        self
    }

    /// Makes a checkpoint after each epoch that is the best so far by a figure such as `val_f1`, and keeps it until a better one
    /// comes. Of losses a smaller figure is better, of metrics what they say.
    #[must_use]
    pub fn keep_best(mut self, figure: impl Into<String>) -> Self {
        self.best.push(Best { figure: figure.into(), best: None });
        self
    }

    /// Sets whether a fit continues from the newest checkpoint, if there is one. If that is damaged, it is put aside and the one
    /// before is taken. Otherwise a folder that has checkpoints is refused.
    #[must_use]
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    fn error(&self, message: impl Into<String>) -> Error {
        Error::Checkpoint { path: self.folder.0.clone(), message: message.into() }
    }

    /// Takes the folder's lock.
    fn lock(&mut self) -> Result<()> {
        let path = self.folder.0.join("lock");
        let failed = |source| wgrad_nn::Error::Write { path: path.clone(), source };
        std::fs::create_dir_all(&self.folder.0).map_err(failed)?;
        let file = File::options().create(true).append(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {
                self.lock = Some(file);
                wgrad_nn::file::remove_unfinished(&self.folder.0);
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                let message =
                    "another run is under way in this folder: wait for its end, or take another folder";
                return Err(self.error(message));
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(failed(error).into()),
        }
        Ok(wgrad_nn::file::check_writable(&self.folder.file(0))?)
    }

    /// The newest checkpoint that is whole. Newer ones are put aside.
    fn newest(&self, fit: &mut Fit) -> Result<Option<(u64, StateDict)>> {
        let mut damaged: Vec<(PathBuf, Error)> = Vec::new();
        for step in self.folder.steps()?.into_iter().rev() {
            let path = self.folder.file(step);
            match self.folder.load(step) {
                Ok(state) => {
                    for (path, error) in &damaged {
                        let aside = PathBuf::from(format!("{}.damaged", path.display()));
                        let moved = std::fs::rename(path, &aside);
                        moved.map_err(|source| wgrad_nn::Error::Write { path: path.clone(), source })?;
                        fit.say(format!(
                            "{error}; it is now {}, and the run goes on from the one before",
                            aside.display()
                        ));
                    }
                    return Ok(Some((step, state)));
                }
                Err(error @ (Error::Checkpoint { .. } | Error::Model(wgrad_nn::Error::Format { .. }))) => {
                    damaged.push((path, error));
                }
                Err(error) => return Err(error),
            }
        }
        // If none is left, the newest one's error is the one to know.
        damaged.into_iter().next().map_or(Ok(None), |(_, error)| Err(error))
    }

    /// Deletes what is neither among the newest nor the best.
    fn rotate(&self) -> Result<()> {
        let steps = self.folder.steps()?;
        let old = steps.len().saturating_sub(self.keep_last.max(1));
        let best: Vec<u64> = self.best.iter().filter_map(|best| best.best).map(|(_, step)| step).collect();
        for step in steps[..old].iter().filter(|step| !best.contains(step)) {
            let path = self.folder.file(*step);
            std::fs::remove_file(&path).map_err(|source| wgrad_nn::Error::Write { path, source })?;
        }
        Ok(())
    }
}

impl Callback for Checkpoints {
    fn name(&self) -> &str {
        "checkpoints"
    }

    fn resume(&mut self, fit: &mut Fit) -> Result<Option<Saved>> {
        if matches!(self.every, Every::Epochs(0) | Every::Steps(0)) {
            return Err(Error::Usage("checkpoints after every 0 epochs or steps: at least 1".to_owned()));
        }
        (self.due, self.saved_at) = (false, None);
        self.lock = None;
        self.lock()?;
        if !self.resume {
            self.best.iter_mut().for_each(|best| best.best = None);
            return match self.folder.steps()?.is_empty() {
                true => Ok(None),
                false => {
                    Err(self.error("there are checkpoints of a run here: resume it, or take another folder"))
                }
            };
        }
        let Some((step, state)) = self.newest(fit)? else { return Ok(None) };
        self.saved_at = Some(step);
        Ok(Some(Saved { state, file: self.folder.file(step).display().to_string(), is_checked: false }))
    }

    fn on_fit_start(&mut self, fit: &mut Fit) -> Result<()> {
        self.best.iter().try_for_each(|best| fit.check_figure(&best.figure))
    }

    fn on_epoch_end(&mut self, fit: &mut Fit) -> Result<()> {
        for Best { figure, best } in &mut self.best {
            let (value, higher) = (fit.figure(figure)?, fit.higher_is_better(figure));
            let better = |known: f64| if higher { value > known } else { value < known };
            if !value.is_nan() && best.is_none_or(|(known, _)| better(known)) {
                (*best, self.due) = (Some((value, fit.step())), true);
            }
        }
        Ok(())
    }

    fn wants_checkpoint(&mut self, fit: &Fit, moment: Moment) -> bool {
        let is_new = self.saved_at != Some(fit.step());
        let by_steps = matches!(self.every, Every::Steps(n) if fit.step().is_multiple_of(n));
        match (moment, self.every) {
            (Moment::Step, _) => is_new && by_steps,
            (Moment::Epoch, Every::Epochs(n)) => self.due || fit.epoch().is_multiple_of(n),
            (Moment::Epoch, Every::Steps(_)) => self.due || by_steps,
            (Moment::End, _) => is_new,
        }
    }

    fn on_checkpoint(&mut self, fit: &mut Fit, state: &StateDict) -> Result<()> {
        state.save(self.folder.file(fit.step()))?;
        (self.due, self.saved_at) = (false, Some(fit.step()));
        self.rotate()
    }

    fn on_fit_end(&mut self, _: &mut Fit) -> Result<()> {
        self.lock = None;
        Ok(())
    }

    fn save_state(&self) -> Result<StateDict> {
        let mut state = StateDict::default();
        for Best { figure, best } in &self.best {
            let text =
                best.map(|(value, step)| format!("{:016x} {step}", value.to_bits())).unwrap_or_default();
            state.metadata.insert(format!("best.{figure}"), text);
        }
        Ok(state)
    }

    fn load_state(&mut self, state: &StateDict) -> Result<()> {
        for Best { figure, best } in &mut self.best {
            let text = state.metadata.get(&format!("best.{figure}"));
            // The file may have been deleted by hand.
            let found = text.and_then(|text| parse_best(text));
            *best = found.filter(|(_, step)| self.folder.file(*step).exists());
        }
        Ok(())
    }

    fn kept(&self) -> String {
        match self.folder.newest() {
            Ok(Some(path)) => format!("; the checkpoint {} is from before", path.display()),
            _ => String::new(),
        }
    }
}
