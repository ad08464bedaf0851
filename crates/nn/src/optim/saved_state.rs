//! An optimizer's state as a state dict, and back.

use wgrad_autograd::Tensor;

use super::OptimizerState;
use crate::layout::Entry;
use crate::{Error, Load, LoadReport, Result, StateDict};

impl OptimizerState {
    /// Names and shapes of the tensors that [`OptimizerState::to_state_dict`] gives.
    pub fn shapes(&self) -> impl Iterator<Item = (String, &[usize])> {
        let entry = |name, entry: &Entry| format!("{name}.{}", entry.name);
        let own = self.own_tensors().map(|(key, tensor)| (key, tensor.shape()));
        let of_flats = move |(name, _): &(&'static str, _)| {
            let name = *name;
            self.kept_entries().map(move |e| (entry(name, e), e.tensor.shape()))
        };
        self.values.iter().flat_map(of_flats).chain(own)
    }

    /// The tensors that are not laid out like the parameters, as `<name>.<parameter>`.
    fn own_tensors(&self) -> impl Iterator<Item = (String, &Tensor)> {
        self.entries().flat_map(|(i, entry)| {
            self.tensors[i].iter().map(|(name, tensor)| (format!("{name}.{}", entry.name), tensor))
        })
    }

    /// All that is kept: tensors `<name>.<parameter>`, and in the metadata `steps` and `steps.<parameter>`. Those of several ranks,
    /// of which each keeps a share, are parts of one: [`OptimizerState::gathered_state_dict`] puts them together.
    ///
    /// # Errors
    /// [`Error::Op`] if reading from the device fails.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn to_state_dict(&self) -> Result<StateDict> {
        let mut state = StateDict::default();
        for flat in 0..self.kept.len() {
            for (name, values) in self.of_flat(flat) {
                let values = values.to_vec()?;
                for entry in self.kept_entries().filter(|entry| entry.flat == flat) {
                    let part = values[entry.offset..entry.end()].to_vec();
                    let key = format!("{name}.{}", entry.name);
                    state.tensors.insert(key, (entry.tensor.shape().to_vec(), part));
                }
            }
        }
        for (key, tensor) in self.own_tensors() {
            state.tensors.insert(key, (tensor.shape().to_vec(), tensor.to_vec()?));
        }
        let counts = self.entries().map(|(i, entry)| (format!("steps.{}", entry.name), self.counts[i]));
        let counts = counts.chain([("steps".to_owned(), self.steps)]);
        state.metadata.extend(counts.map(|(key, count)| (key, count.to_string())));
        Ok(state)
    }

    /// Replaces all of it by what `state` holds, as [`OptimizerState::to_state_dict`] wrote it; `file` stands for it in
    /// errors. A parameter whose steps it does not tell is taken to have made all of them. Where only a part is kept, tensors of
    /// the other parameters are passed over.
    ///
    /// # Errors
    /// [`Error::Mismatch`] unless it holds exactly these tensors, [`Error::Format`] for steps that are no number; nothing is
    /// then changed.
    pub fn load_state_dict(&mut self, state: &StateDict, file: &str) -> Result<()> {
        let keys: Vec<_> = self.shapes().collect();
        let model = keys.iter().map(|(key, shape)| (key.as_str(), *shape));
        let plan = Load::partial().plan(model, state)?;
        self.check_report(&plan.report, file)?;
        let steps = self.steps_in(state, "steps", file)?.unwrap_or(0);
        let count = |(_, entry): (usize, &Entry)| {
            Ok(self.steps_in(state, &format!("steps.{}", entry.name), file)?.unwrap_or(steps))
        };
        let counts = self.entries().map(count).collect::<Result<_>>()?;
        for entry in self.kept_entries() {
            for (name, values) in self.of_flat(entry.flat) {
                if let Some(new) = plan.values(&format!("{name}.{}", entry.name)) {
                    self.parameters.gpu().write(&entry.range_of(values), new)?;
                }
            }
        }
        for (key, tensor) in self.own_tensors() {
            if let Some(new) = plan.values(&key).filter(|new| !new.is_empty()) {
                self.parameters.gpu().write(&tensor.bind(), new)?;
            }
        }
        (self.steps, self.counts) = (steps, counts);
        Ok(())
    }

    /// Fails unless a state has exactly the tensors that are kept, apart from those of parameters whose state is not.
    fn check_report(&self, report: &LoadReport, file: &str) -> Result<()> {
        let is_of_others = |key: &String| {
            let of = key.split_once('.').map(|(_, parameter)| parameter);
            self.entries().any(|(_, entry)| !self.kept[entry.flat] && Some(entry.name.as_str()) == of)
        };
        let unexpected: Vec<_> = report.unexpected.iter().filter(|key| !is_of_others(key)).cloned().collect();
        let (missing, mismatched) = (report.missing.clone(), report.mismatched.clone());
        if unexpected.is_empty() && missing.is_empty() && mismatched.is_empty() {
            return Ok(());
        }
        Err(Error::Mismatch { file: file.to_owned(), missing, unexpected, mismatched })
    }

    fn steps_in(&self, state: &StateDict, key: &str, file: &str) -> Result<Option<u64>> {
        let parse = |text: &String| {
            text.parse().map_err(|_| Error::Format {
                file: file.to_owned(),
                message: format!("{key} is {text:?}, which is no number of steps"),
            })
        };
        state.metadata.get(key).map(parse).transpose()
    }
}
