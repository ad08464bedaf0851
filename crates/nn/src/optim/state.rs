//! What an optimizer keeps from step to step.

use wgrad_autograd::Tensor;

use crate::layout::Entry;
use crate::{Error, FlatValues, Gradients, Load, LoadReport, Parameters, Result, StateDict};

/// Tensors of one parameter by name.
pub(super) type Named = Vec<(&'static str, Tensor)>;

/// Steps made, in all and by each parameter; named values laid out like the parameters; and named tensors of any shape for each
/// parameter. Where several ranks share it, only a part of the values and tensors: see [`OptimizerState::keep_only`].
pub struct OptimizerState {
    parameters: Parameters,
    /// Laid out like each flat buffer of parameters that is kept.
    values: Vec<(&'static str, Vec<Option<Tensor>>)>,
    /// Of each parameter.
    tensors: Vec<Named>,
    /// For each flat buffer of parameters, whether it is stepped, and its state kept.
    kept: Vec<bool>,
    steps: u64,
    /// Steps in which each parameter had a gradient.
    counts: Vec<u64>,
}

impl OptimizerState {
    /// For these parameters, with values of these names, 0 at first.
    ///
    /// # Errors
    /// [`Error::Op`] if the device cannot hold them.
    pub fn new(parameters: &Parameters, names: &[&'static str]) -> Result<Self> {
        let flats = parameters.flats();
        let zeros = |flat: &Tensor| Ok(Some(Tensor::zeros(parameters.gpu(), flat.shape())?));
        let zeros = |name: &&'static str| Ok((*name, flats.iter().map(zeros).collect::<Result<_>>()?));
        let values = names.iter().map(zeros).collect::<Result<_>>()?;
        let kept = vec![true; flats.len()];
        let counts = vec![0; parameters.entries().len()];
        let tensors = vec![Named::new(); counts.len()];
        Ok(Self { parameters: parameters.clone(), values, tensors, kept, steps: 0, counts })
    }

    /// Keeps the state of some of the parameters' flat buffers only, and frees that of the others: from now on the optimizer steps
    /// these parameters alone, and counts the steps of all. `flats` says for each of [`Parameters::flats`] whether it is kept.
    /// Several ranks that keep a share each ([`Parameters::shares`]) hold one state together; after a step each of them gets what
    /// the others have stepped by [`Parameters::broadcast_flats`]. Counterpart: `torch.distributed.optim.ZeroRedundancyOptimizer`.
    ///
    /// # Errors
    /// [`Error::Options`] unless there is a flag for each flat buffer, or if one is to be kept that was not kept before; nothing is
    /// then changed.
    pub fn keep_only(&mut self, flats: &[bool]) -> Result<()> {
        let error = |message| Err(Error::Options { what: "keep_only", message });
        if flats.len() != self.kept.len() {
            return error(format!("{} flags for {} flat buffers", flats.len(), self.kept.len()));
        }
        if let Some(flat) = (0..flats.len()).find(|&flat| flats[flat] && !self.kept[flat]) {
            return error(format!(
                "the state of flat buffer {flat} was freed before: make the optimizer anew"
            ));
        }
        self.kept = flats.to_vec();
        for (_, values) in &mut self.values {
            values.iter_mut().zip(flats).filter(|(_, keep)| !**keep).for_each(|(values, _)| *values = None);
        }
        for (entry, tensors) in self.parameters.entries().iter().zip(&mut self.tensors) {
            if !flats[entry.flat] {
                tensors.clear();
            }
        }
        // What is freed goes back to the device, not to the pool.
        self.parameters.gpu().trim();
        Ok(())
    }

    /// For each of [`Parameters::flats`], whether its parameters are stepped and their state kept.
    pub fn kept(&self) -> &[bool] {
        &self.kept
    }

    /// The tensor `name` of a parameter, where the optimizer keeps one that is not laid out like the parameters.
    pub fn tensor(&self, name: &str, parameter: &str) -> Option<&Tensor> {
        let (i, _) = self.entries().find(|(_, entry)| entry.name == parameter)?;
        self.tensors[i].iter().find(|(known, _)| *known == name).map(|(_, tensor)| tensor)
    }

    pub(super) fn tensors_of(&self, parameter: usize) -> &Named {
        &self.tensors[parameter]
    }

    /// A state that starts anew counts its steps anew: its bias correction is that of a first step.
    pub(super) fn set_tensors_of(&mut self, parameter: usize, tensors: Named) {
        self.tensors[parameter] = tensors;
        self.counts[parameter] = 0;
    }

    /// Bytes on the device.
    pub fn bytes(&self) -> u64 {
        let flats = self.values.iter().flat_map(|(_, values)| values.iter().flatten());
        let own = self.tensors.iter().flatten().map(|(_, tensor)| tensor);
        flats.chain(own).map(|tensor| tensor.bind().buffer.size()).sum()
    }

    /// Which parameters a step with these gradients changes, here or where their state is kept.
    pub(super) fn takes_part(&self, gradients: &Gradients) -> Result<Vec<bool>> {
        if gradients.parameters().id() != self.parameters.id() {
            let message = "it was made for other parameters than the gradients' are; make one of these parameters with new()";
            return Err(Error::Options { what: "optimizer", message: message.to_owned() });
        }
        Ok(self.entries().map(|(i, entry)| gradients.has(i) && entry.is_trainable()).collect())
    }

    /// The parameters that the optimizer changes.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The values of this name, shared; `None` for an unknown name, and where only a part of them is kept.
    pub fn get(&self, name: &str) -> Option<FlatValues> {
        self.iter().find(|(known, _)| *known == name).map(|(_, values)| values)
    }

    /// Names and values, shared. Where only a part of them is kept, none.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, FlatValues)> {
        self.values.iter().filter_map(|(name, values)| {
            let flats = values.iter().cloned().collect::<Option<_>>()?;
            Some((*name, FlatValues::new(&self.parameters, flats, true)))
        })
    }

    /// Names and values of one flat buffer, where they are kept.
    pub(super) fn of_flat(&self, flat: usize) -> impl Iterator<Item = (&'static str, &Tensor)> {
        self.values.iter().filter_map(move |(name, values)| Some((*name, values[flat].as_ref()?)))
    }

    /// Steps made.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Steps in which the parameter `name` had a gradient; `None` for an unknown name.
    pub fn steps_of(&self, name: &str) -> Option<u64> {
        self.entries().find(|(_, entry)| entry.name == name).map(|(i, _)| self.counts[i])
    }

    pub(crate) fn count(&self, parameter: usize) -> u64 {
        self.counts[parameter]
    }

    /// Counts a step in which these parameters took part.
    pub(crate) fn count_step(&mut self, takes_part: &[bool]) {
        self.steps = self.steps.saturating_add(1);
        let counts = self.counts.iter_mut().zip(takes_part).filter(|(_, takes)| **takes);
        counts.for_each(|(count, _)| *count = count.saturating_add(1));
    }

    fn entries(&self) -> impl Iterator<Item = (usize, &Entry)> {
        self.parameters.entries().iter().enumerate()
    }

    /// The parameters whose state is kept.
    fn kept_entries(&self) -> impl Iterator<Item = &Entry> {
        self.parameters.entries().iter().filter(|entry| self.kept[entry.flat])
    }

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
