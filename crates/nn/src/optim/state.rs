//! What an optimizer keeps from step to step.

use wgrad_autograd::{DType, Tensor};

use crate::layout::Entry;
use crate::{Error, FlatValues, Gradients, Parameters, Result};

/// Tensors of one parameter by name.
pub(super) type Named = Vec<(&'static str, Tensor)>;

/// Steps made, in all and by each parameter; named values laid out like the parameters; and named tensors of any shape for each
/// parameter. Where several ranks share it, only a part of the values and tensors: see [`OptimizerState::keep_only`].
pub struct OptimizerState {
    pub(super) parameters: Parameters,
    /// Laid out like each flat buffer of parameters that is kept.
    pub(super) values: Vec<(&'static str, Vec<Option<Tensor>>)>,
    /// Of each parameter.
    pub(super) tensors: Vec<Named>,
    /// For each flat buffer of parameters, whether it is stepped, and its state kept.
    pub(super) kept: Vec<bool>,
    pub(super) steps: u64,
    /// Steps in which each parameter had a gradient.
    pub(super) counts: Vec<u64>,
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

    /// The tensor `name` of a parameter, where it is kept: the parameter's part of the values of that name, a view in the parameter's
    /// shape, or a tensor of another shape ([`OptimizerState::add_tensor`]).
    pub fn tensor(&self, name: &str, parameter: &str) -> Option<Tensor> {
        let (i, entry) = self.entries().find(|(_, entry)| entry.name == parameter)?;
        if let Some((_, tensor)) = self.tensors[i].iter().find(|(known, _)| *known == name) {
            return Some(tensor.clone());
        }
        let (_, values) = self.of_flat(entry.flat).find(|(known, _)| *known == name)?;
        // A view fails for places outside of the buffer only.
        entry.view_of(values).ok()
    }

    /// Has a parameter keep a tensor of this shape too, 0 at first. Nothing is kept where another rank keeps the parameter's state.
    ///
    /// # Errors
    /// [`Error::Options`] for an unknown parameter, or a name that the parameter has a tensor of; [`Error::Op`].
    pub fn add_tensor(&mut self, name: &'static str, parameter: &str, shape: &[usize]) -> Result<()> {
        let found = self.entries().find(|(_, entry)| entry.name == parameter);
        let found = found.map(|(i, entry)| (i, self.kept[entry.flat]));
        let (i, is_kept) = found.ok_or_else(|| error(format!("there is no parameter {parameter}")))?;
        if self.tensor(name, parameter).is_some() {
            return Err(error(format!("{parameter} has a tensor {name}: take another name")));
        }
        if is_kept {
            self.tensors[i].push((name, Tensor::zeros(self.parameters.gpu(), shape)?));
        }
        Ok(())
    }

    /// Overwrites the tensor `name` of a parameter by `value` of the same shape, converted to f32.
    ///
    /// # Errors
    /// [`Error::Options`] where no such tensor is kept, or for another shape; [`Error::Op`].
    pub fn set_tensor(&mut self, name: &str, parameter: &str, value: &Tensor) -> Result<()> {
        let kept = self.tensor(name, parameter);
        let kept = kept.ok_or_else(|| error(format!("no tensor {name} is kept of {parameter}")))?;
        if value.shape() != kept.shape() {
            let (shape, found) = (kept.shape(), value.shape());
            return Err(error(format!("{name} of {parameter} {shape:?} gets a value {found:?}")));
        }
        if value.is_empty() { Ok(()) } else { assign(&value.to_dtype(DType::F32)?, &kept) }
    }

    pub(super) fn tensors_of(&self, parameter: usize) -> &Named {
        &self.tensors[parameter]
    }

    pub(super) fn set_tensors_of(&mut self, parameter: usize, tensors: Named) {
        self.tensors[parameter] = tensors;
    }

    /// Bytes on the device.
    pub fn bytes(&self) -> u64 {
        let flats = self.values.iter().flat_map(|(_, values)| values.iter().flatten());
        let own = self.tensors.iter().flatten().map(|(_, tensor)| tensor);
        flats.chain(own).map(|tensor| tensor.bind().buffer.size()).sum()
    }

    /// Whether a step with these gradients changes each parameter, in the order of [`Parameters::entries`]: it does where the parameter
    /// has a gradient and is not frozen. Where ranks share the state, a rank steps those of them whose flat buffer it keeps
    /// ([`OptimizerState::kept`]).
    ///
    /// # Errors
    /// [`Error::Options`] for gradients of other parameters than the optimizer's.
    pub fn takes_part(&self, gradients: &Gradients) -> Result<Vec<bool>> {
        if gradients.parameters().id() != self.parameters.id() {
            let message = "it was made for other parameters than the gradients' are; make one of these parameters with new()";
            return Err(error(message.to_owned()));
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

    /// Counts a step in which these parameters took part, as [`OptimizerState::takes_part`] gave them.
    pub fn count_step(&mut self, takes_part: &[bool]) {
        self.steps = self.steps.saturating_add(1);
        let counts = self.counts.iter_mut().zip(takes_part).filter(|(_, takes)| **takes);
        counts.for_each(|(count, _)| *count = count.saturating_add(1));
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (usize, &Entry)> {
        self.parameters.entries().iter().enumerate()
    }

    /// The parameters whose state is kept.
    pub(super) fn kept_entries(&self) -> impl Iterator<Item = &Entry> {
        self.parameters.entries().iter().filter(|entry| self.kept[entry.flat])
    }
}

/// Writes the values of `from` to where `to` lies.
pub(super) fn assign(from: &Tensor, to: &Tensor) -> Result<()> {
    let from = from.contiguous()?;
    // Nothing is copied within one buffer.
    let is_within = from.bind().buffer.id() == to.bind().buffer.id();
    let from = if is_within { from.mul_add_scalar(1.0, -0.0)? } else { from };
    Ok(to.gpu().copy(&from.bind(), &to.bind())?)
}

fn error(message: String) -> Error {
    Error::Options { what: "optimizer", message }
}
