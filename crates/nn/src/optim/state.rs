//! What an optimizer keeps from step to step.

use wgrad_autograd::Tensor;

use crate::layout::Entry;
use crate::{Error, FlatValues, Gradients, Load, Parameters, Result, StateDict};

/// Tensors of one parameter by name.
pub(super) type Named = Vec<(&'static str, Tensor)>;

/// Steps made, in all and by each parameter; named values laid out like the parameters; and named tensors of any shape for each
/// parameter.
pub struct OptimizerState {
    parameters: Parameters,
    values: Vec<(&'static str, FlatValues)>,
    /// Of each parameter.
    tensors: Vec<Named>,
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
        let zeros = |name: &&'static str| Ok((*name, FlatValues::zeros(parameters)?.with_all_present()));
        let values = names.iter().map(zeros).collect::<Result<_>>()?;
        let counts = vec![0; parameters.entries().len()];
        let tensors = vec![Named::new(); counts.len()];
        Ok(Self { parameters: parameters.clone(), values, tensors, steps: 0, counts })
    }

    /// The tensor `name` of a parameter, where the optimizer keeps one that is not laid out like the parameters.
    pub fn tensor(&self, name: &str, parameter: &str) -> Option<&Tensor> {
        let (i, _) = self.entries().find(|(_, entry)| entry.name == parameter)?;
        self.tensors[i].iter().find(|(known, _)| *known == name).map(|(_, tensor)| tensor)
    }

    pub(super) fn tensors_of(&self, parameter: usize) -> &Named {
        &self.tensors[parameter]
    }

    pub(super) fn set_tensors_of(&mut self, parameter: usize, tensors: Named) {
        self.tensors[parameter] = tensors;
    }

    /// Bytes on the device.
    pub fn bytes(&self) -> u64 {
        let flats = self.values.iter().flat_map(|(_, values)| values.flats());
        let own = self.tensors.iter().flatten().map(|(_, tensor)| tensor);
        flats.chain(own).map(|tensor| tensor.bind().buffer.size()).sum()
    }

    /// Which parameters a step with these gradients changes.
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

    /// The values of this name.
    pub fn get(&self, name: &str) -> Option<&FlatValues> {
        self.iter().find(|(known, _)| *known == name).map(|(_, values)| values)
    }

    /// Names and values.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'static str, &FlatValues)> {
        self.values.iter().map(|(name, values)| (*name, values))
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

    /// Names and shapes of the tensors that [`OptimizerState::to_state_dict`] gives.
    pub fn shapes(&self) -> impl Iterator<Item = (String, &[usize])> {
        let entry = |name, entry: &Entry| format!("{name}.{}", entry.name);
        let own = self.own_tensors().map(|(key, tensor)| (key, tensor.shape()));
        self.iter()
            .flat_map(move |(name, _)| self.entries().map(move |(_, e)| (entry(name, e), e.tensor.shape())))
            .chain(own)
    }

    /// The tensors that are not laid out like the parameters, as `<name>.<parameter>`.
    fn own_tensors(&self) -> impl Iterator<Item = (String, &Tensor)> {
        self.entries().flat_map(|(i, entry)| {
            self.tensors[i].iter().map(|(name, tensor)| (format!("{name}.{}", entry.name), tensor))
        })
    }

    /// All of it: tensors `<name>.<parameter>`, and in the metadata `steps` and `steps.<parameter>`.
    ///
    /// # Errors
    /// [`Error::Op`] if reading from the device fails.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn to_state_dict(&self) -> Result<StateDict> {
        let mut state = StateDict::default();
        for (name, values) in self.iter() {
            let tensors = values.to_state_dict()?.tensors;
            state.tensors.extend(tensors.into_iter().map(|(of, tensor)| (format!("{name}.{of}"), tensor)));
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
    /// errors. A parameter whose steps it does not tell is taken to have made all of them.
    ///
    /// # Errors
    /// [`Error::Mismatch`] unless it holds exactly these tensors, [`Error::Format`] for steps that are no number; nothing is
    /// then changed.
    pub fn load_state_dict(&mut self, state: &StateDict, file: &str) -> Result<()> {
        let keys: Vec<_> = self.shapes().collect();
        let model = keys.iter().map(|(key, shape)| (key.as_str(), *shape));
        let plan = Load::strict().named(file).plan(model, state)?;
        let steps = self.steps_in(state, "steps", file)?.unwrap_or(0);
        let count = |(_, entry): (usize, &Entry)| {
            Ok(self.steps_in(state, &format!("steps.{}", entry.name), file)?.unwrap_or(steps))
        };
        let counts = self.entries().map(count).collect::<Result<_>>()?;
        for (name, values) in self.iter() {
            for (_, entry) in self.entries() {
                if let Some(new) = plan.values(&format!("{name}.{}", entry.name)) {
                    self.parameters.gpu().write(&entry.range_of(&values.flats()[entry.flat]), new)?;
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
