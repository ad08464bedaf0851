//! [`FlatValues`]: a value for each parameter, such as its gradient, in flat buffers laid out like the parameters.

use wgrad_autograd::{DType, Tensor};

use crate::layout::{Entry, read_async};
use crate::{Error, Parameters, Result, StateDict};

/// The gradients of a model's parameters. [`Parameters::gradients`] makes them.
pub type Gradients = FlatValues;

/// Values laid out like a model's parameters, in as many flat buffers: gradients, averages, an optimizer's state.
///
/// What is done to all of them takes one or two launches for each flat buffer, however many parameters there are.
/// The places of parameters that have no value here hold zeros, and paddings between parameters anything.
///
/// Cloning shares the values; which parameters have one is each clone's own. [`FlatValues::copy`] copies the values.
#[derive(Clone, Debug)]
pub struct FlatValues {
    pub(crate) parameters: Parameters,
    pub(crate) flats: Vec<Tensor>,
    pub(crate) present: Vec<bool>,
}

impl FlatValues {
    /// A store in which no parameter has a value yet: what is added to it is what it then holds.
    ///
    /// # Errors
    /// [`Error::Op`] if the device cannot hold it.
    pub fn zeros(parameters: &Parameters) -> Result<Self> {
        let zeros = |flat: &Tensor| Tensor::zeros(parameters.gpu(), flat.shape());
        let flats = parameters.flats().iter().map(zeros).collect::<Result<_, _>>()?;
        Ok(Self::new(parameters, flats, false))
    }

    /// A store of unspecified values, to be written and then completed by [`FlatValues::clear`].
    pub(crate) fn empty(parameters: &Parameters) -> Result<Self> {
        let empty = |flat: &Tensor| Tensor::empty(parameters.gpu(), flat.shape());
        let flats = parameters.flats().iter().map(empty).collect::<Result<_, _>>()?;
        Ok(Self::new(parameters, flats, false))
    }

    /// Clears the places of parameters for which `missing` says so: one command for those that lie side by side.
    pub(crate) fn clear(&self, missing: &[bool]) -> Result<()> {
        let entries = self.parameters.entries();
        let mut next = 0;
        while let Some(first) = (next..entries.len()).find(|&i| missing[i]) {
            let flat = entries[first].flat;
            let is_in_run = |&i: &usize| entries[i].flat == flat && missing[i];
            let last = (first..entries.len()).take_while(is_in_run).last().unwrap_or(first);
            let whole = self.flats[flat].bind();
            let (start, end) = (entries[first].offset as u64 * 4, entries[last].end() as u64 * 4);
            self.flats[flat].gpu().clear(&whole.buffer.view(whole.offset + start, end - start))?;
            next = last + 1;
        }
        Ok(())
    }

    /// What lies in `flats`; `present` says whether that is a value of every parameter or of none.
    pub(crate) fn new(parameters: &Parameters, flats: Vec<Tensor>, present: bool) -> Self {
        let present = vec![present; parameters.entries().len()];
        Self { parameters: parameters.clone(), flats, present }
    }

    /// The parameters that the values belong to.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The flat buffers, in the layout of [`Parameters::flats`].
    pub fn flats(&self) -> &[Tensor] {
        &self.flats
    }

    /// Number of parameters that have a value.
    pub fn len(&self) -> usize {
        self.present.iter().filter(|&&present| present).count()
    }

    /// Whether no parameter has a value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn has(&self, parameter: usize) -> bool {
        self.present[parameter]
    }

    fn entries(&self) -> impl Iterator<Item = (usize, &Entry)> {
        self.parameters.entries().iter().enumerate().filter(|(i, _)| self.present[*i])
    }

    /// The value of the parameter `name`, in its shape: a view, not a copy. `None` if it has none here.
    pub fn get(&self, name: &str) -> Option<Tensor> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Name and value of each parameter that has one, in the order of declaration; the values are views.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Tensor)> {
        // A view fails for places outside of the buffer only.
        self.entries().filter_map(|(_, e)| Some((e.name.as_str(), e.view_of(&self.flats[e.flat]).ok()?)))
    }

    /// Writes the value of the parameter `name`, which it has from now on.
    ///
    /// # Errors
    /// [`Error::Options`] for an unknown name or another shape, [`Error::Op`].
    pub fn set(&mut self, name: &str, value: &Tensor) -> Result<()> {
        let found = self.parameters.entries().iter().position(|entry| entry.name == name);
        let index = found.ok_or_else(|| error(format!("there is no parameter {name}")))?;
        self.set_at(index, value)
    }

    pub(crate) fn set_at(&mut self, index: usize, value: &Tensor) -> Result<()> {
        let entry = &self.parameters.entries()[index];
        if value.shape() != entry.tensor.shape() {
            let (name, shape, found) = (&entry.name, entry.tensor.shape(), value.shape());
            return Err(error(format!("{name} {shape:?} gets a value {found:?}: both have one shape")));
        }
        if value.is_empty() {
            self.present[index] = true;
            return Ok(());
        }
        let value = value.to_dtype(DType::F32)?.contiguous()?;
        let flat = &self.flats[entry.flat];
        let (src, dst) = (value.bind(), entry.range_of(flat));
        if src.buffer.id() == dst.buffer.id() {
            // Nothing is copied within one buffer.
            flat.gpu().copy(&value.mul_add_scalar(1.0, -0.0)?.bind(), &dst)?;
        } else {
            flat.gpu().copy(&src, &dst)?;
        }
        self.present[index] = true;
        Ok(())
    }

    /// Takes note that the parameter of this index has a value here from now on.
    pub(crate) fn set_present(&mut self, index: usize) {
        self.present[index] = true;
    }

    /// Overwrites the values by those of `other`, a copy for each flat buffer.
    ///
    /// # Errors
    /// As [`FlatValues::add`].
    pub fn assign(&mut self, other: &Self) -> Result<()> {
        self.check_same(other)?;
        for (a, b) in self.flats.iter().zip(&other.flats) {
            if a.bind().buffer.id() != b.bind().buffer.id() {
                a.gpu().copy(&b.bind(), &a.bind())?;
            }
        }
        self.present.clone_from(&other.present);
        Ok(())
    }

    /// The same values in buffers of their own.
    ///
    /// # Errors
    /// [`Error::Op`].
    pub fn copy(&self) -> Result<Self> {
        let mut copy = Self::zeros(&self.parameters)?;
        copy.assign(self)?;
        Ok(copy)
    }

    /// The values by name, of the parameters that have one.
    ///
    /// # Errors
    /// [`Error::Op`] if reading from the device fails.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn to_state_dict(&self) -> Result<StateDict> {
        Ok(self.named(&crate::layout::read(&self.flats)?))
    }

    /// As [`FlatValues::to_state_dict`], without blocking.
    ///
    /// # Errors
    /// As [`FlatValues::to_state_dict`].
    pub async fn to_state_dict_async(&self) -> Result<StateDict> {
        Ok(self.named(&read_async(&self.flats).await?))
    }

    fn named(&self, values: &[Vec<f32>]) -> StateDict {
        let mut state = self.parameters.layout().split(values);
        let entries = self.parameters.entries().iter().zip(&self.present);
        for (entry, _) in entries.filter(|(_, present)| !**present) {
            state.tensors.remove(&entry.name);
        }
        state
    }

    pub(crate) fn check_same(&self, other: &Self) -> Result<()> {
        if self.parameters.id() == other.parameters.id() {
            return Ok(());
        }
        Err(error("the values belong to other parameters: both are to be of one model".to_owned()))
    }
}

pub(crate) fn error(message: String) -> Error {
    Error::Options { what: "gradients", message }
}
