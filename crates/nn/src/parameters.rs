//! A model's parameters and buffers: a flat buffer of each kind, and where each part lies in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use wgrad_autograd::device::View;
use wgrad_autograd::{Gpu, Gradients, Tensor};

use crate::{Error, Integer, Result, StateDict};

/// One parameter or buffer.
#[derive(Debug)]
pub struct Entry {
    /// The dotted name.
    pub name: String,
    /// First element in the flat buffer.
    pub offset: usize,
    /// The values, a view of the flat buffer; a parameter's are tracked.
    pub tensor: Tensor,
    /// The type that they have in state dicts, where that is an integer.
    pub integer: Option<Integer>,
}

impl Entry {
    /// Where the entry lies in a tensor that is laid out like the parameters, to the end of the last vec4.
    pub(crate) fn range_of(&self, flat: &Tensor) -> View {
        let whole = flat.bind();
        let bytes = (self.tensor.numel() as u64 * 4).next_multiple_of(16);
        whole.buffer.view(whole.offset + self.offset as u64 * 4, bytes)
    }
}

/// Values one after the other in one buffer, and where each part lies.
#[derive(Debug)]
pub(crate) struct Flat {
    pub values: Tensor,
    pub entries: Vec<Entry>,
}

impl Flat {
    /// The parts of `values`, laid out like this, by name.
    fn split<'a>(&'a self, values: &'a [f32]) -> impl Iterator<Item = (String, (Vec<usize>, Vec<f32>))> + 'a {
        self.entries.iter().map(|entry| {
            let end = entry.offset + entry.tensor.numel();
            (entry.name.clone(), (entry.tensor.shape().to_vec(), values[entry.offset..end].to_vec()))
        })
    }

    /// Writes the parts that `state` holds, checked before, into `into`, laid out like this.
    fn write(&self, into: &Tensor, state: &StateDict) -> Result<()> {
        let mut values = vec![0.0; into.numel()];
        for entry in &self.entries {
            if let Some((_, from)) = state.tensors.get(&entry.name) {
                values[entry.offset..entry.offset + from.len()].copy_from_slice(from);
            }
        }
        Ok(into.gpu().write(&into.bind(), &values)?)
    }

    fn shapes(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.entries.iter().map(|entry| (entry.name.as_str(), entry.tensor.shape()))
    }
}

/// Random numbers of a model's layers: a key and how many draws were made. Saved in checkpoints, so that a resumed
/// run drops the same elements.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    key: u32,
    counter: Arc<AtomicU32>,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // Both halves of the seed matter.
        let key = (seed as u32) ^ ((seed >> 32) as u32).wrapping_mul(0x9e37_79b9);
        Self { key, counter: Arc::default() }
    }

    /// Key and a counter that no draw had before.
    pub(crate) fn draw(&self) -> (u32, u32) {
        (self.key, self.counter.fetch_add(1, Ordering::Relaxed))
    }
}

/// All parameters and buffers of a model, in the order in which its layers declared them.
#[derive(Debug)]
pub struct Parameters {
    /// Tells these from another model's, which may look the same.
    id: u64,
    parameters: Flat,
    buffers: Flat,
    random: Random,
}

impl Parameters {
    pub(crate) fn new(parameters: Flat, buffers: Flat, random: Random) -> Self {
        Self { id: parameters.values.gpu().unique(), parameters, buffers, random }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The device they lie on.
    pub fn gpu(&self) -> &Gpu {
        self.flat().gpu()
    }

    /// All parameters' values in one tensor; between parameters lies padding, always 0.
    pub fn flat(&self) -> &Tensor {
        &self.parameters.values
    }

    /// The parameters.
    pub fn entries(&self) -> &[Entry] {
        &self.parameters.entries
    }

    /// The buffers: what layers keep beside parameters, such as running estimates. Saved and loaded with them.
    pub fn buffers(&self) -> &[Entry] {
        &self.buffers.entries
    }

    /// The parameter or buffer of this name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        let mut entries = self.entries().iter().chain(self.buffers());
        entries.find(|entry| entry.name == name).map(|entry| &entry.tensor)
    }

    /// Names and shapes of all parameters and buffers, as a state dict of this model has them.
    pub fn shapes(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.parameters.shapes().chain(self.buffers.shapes())
    }

    /// Number of trainable values.
    pub fn count(&self) -> usize {
        self.entries().iter().map(|entry| entry.tensor.numel()).sum()
    }

    /// How many random draws the layers made so far.
    pub fn draws(&self) -> u32 {
        self.random.counter.load(Ordering::Relaxed)
    }

    /// Continues the layers' random draws after this many.
    pub fn set_draws(&self, draws: u32) {
        self.random.counter.store(draws, Ordering::Relaxed);
    }

    /// The parameters that have a gradient, each with it, for an optimizer that was made for the parameters of this `id`,
    /// with `slots` laid out like them. As in PyTorch, what has no gradient is not touched by an optimizer.
    pub(crate) fn with_gradients(
        &self,
        id: u64,
        gradients: &Gradients,
        slots: &[&Tensor],
    ) -> Result<Vec<(&Entry, Tensor)>> {
        let error = |message: String| Error::Options { what: "optimizer", message };
        if id != self.id {
            let message = "it was made for other parameters than it is to change; make one of these parameters with new()";
            return Err(error(message.to_owned()));
        }
        let mut found = Vec::new();
        for entry in self.entries() {
            let Some(gradient) = gradients.get(&entry.tensor) else { continue };
            if gradient.shape() != entry.tensor.shape() {
                let (name, shape) = (&entry.name, entry.tensor.shape());
                return Err(error(format!("{name} {shape:?} has a gradient {:?}", gradient.shape())));
            }
            // A launch cannot read from a buffer that it changes: a gradient may be the parameter itself.
            let is_changed = |flat: &Tensor| gradient.as_wgpu().buffer == flat.as_wgpu().buffer;
            let aliased = is_changed(self.flat()) || slots.iter().any(|slot| is_changed(slot));
            found.push((entry, if aliased { gradient.mul_add_scalar(1.0, -0.0)? } else { gradient.clone() }));
        }
        Ok(found)
    }

    /// Values of `flat`, laid out like the parameters, by name.
    ///
    /// # Errors
    /// [`crate::Error::Options`] for a tensor of another shape than [`Parameters::flat`]'s, [`crate::Error::Op`] if reading
    /// from the device fails.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn split(&self, flat: &Tensor) -> Result<StateDict> {
        self.check_layout("split", flat)?;
        let tensors = self.parameters.split(&flat.to_vec()?).collect();
        Ok(StateDict { tensors, ..StateDict::default() })
    }

    /// As [`Parameters::split`], without blocking.
    ///
    /// # Errors
    /// As [`Parameters::split`].
    pub async fn split_async(&self, flat: &Tensor) -> Result<StateDict> {
        self.check_layout("split", flat)?;
        let tensors = self.parameters.split(&flat.to_vec_async().await?).collect();
        Ok(StateDict { tensors, ..StateDict::default() })
    }

    /// Fails unless `flat` is laid out like the parameters, as far as its shape tells.
    fn check_layout(&self, what: &'static str, flat: &Tensor) -> Result<()> {
        let (found, expected) = (flat.shape(), self.flat().shape());
        if found == expected {
            return Ok(());
        }
        let message =
            format!("a tensor {found:?} is not laid out like these parameters, which take {expected:?}");
        Err(Error::Options { what, message })
    }

    /// The values of parameters and buffers by name, as PyTorch's `state_dict()`.
    ///
    /// # Errors
    /// [`crate::Error::Op`] if reading from the device fails.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn state_dict(&self) -> Result<StateDict> {
        let (parameters, buffers) = (self.parameters.values.to_vec()?, self.buffers.values.to_vec()?);
        Ok(self.named(&parameters, &buffers))
    }

    /// As [`Parameters::state_dict`], without blocking.
    ///
    /// # Errors
    /// [`crate::Error::Op`] if reading from the device fails.
    pub async fn state_dict_async(&self) -> Result<StateDict> {
        let parameters = self.parameters.values.to_vec_async().await?;
        let buffers = self.buffers.values.to_vec_async().await?;
        Ok(self.named(&parameters, &buffers))
    }

    fn named(&self, parameters: &[f32], buffers: &[f32]) -> StateDict {
        let tensors = self.parameters.split(parameters).chain(self.buffers.split(buffers)).collect();
        let entries = self.entries().iter().chain(self.buffers());
        let integers = entries.filter_map(|entry| Some((entry.name.clone(), entry.integer?))).collect();
        StateDict { tensors, integers, metadata: BTreeMap::new() }
    }

    /// Replaces all values of parameters and buffers by those of `state`, which must hold exactly these names and
    /// shapes; `file` stands for it in errors.
    ///
    /// # Errors
    /// [`crate::Error::Mismatch`]; nothing is then changed.
    pub fn load_state_dict(&self, state: &StateDict, file: &str) -> Result<()> {
        state.check(self.shapes(), file)?;
        self.parameters.write(&self.parameters.values, state)?;
        self.buffers.write(&self.buffers.values, state)
    }

    /// Writes the values of `state` into `flat`, laid out like the parameters.
    ///
    /// # Errors
    /// [`crate::Error::Mismatch`], or [`crate::Error::Options`] for a tensor of another shape than [`Parameters::flat`]'s;
    /// `flat` is then unchanged.
    pub fn load_into(&self, flat: &Tensor, state: &StateDict, file: &str) -> Result<()> {
        self.check_layout("load_into", flat)?;
        state.check(self.parameters.shapes(), file)?;
        self.parameters.write(flat, state)
    }
}
