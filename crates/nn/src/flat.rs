//! [`FlatValues`]: a value for each parameter, such as its gradient, in flat buffers laid out like the parameters.

use wgrad_autograd::device::Launch;
use wgrad_autograd::device::shaders::{self, Kernel};
use wgrad_autograd::{DType, Gpu, Tensor};

use crate::layout::{Entry, read, read_async, tables};
use crate::{Error, Parameters, Result, StateDict};

/// Partial sums of a norm for each flat buffer, at most; one invocation makes each.
const NORM_PARTS: usize = 4096;
/// The largest workgroup that kernels have, for stating loops.
const WORKGROUP: usize = 64;

/// The gradients of a model's parameters. [`Parameters::gradients`] makes them.
pub type Gradients = FlatValues;

/// Values laid out like a model's parameters, in as many flat buffers: gradients, averages, an optimizer's state.
///
/// What is done to all of them takes one or two launches for each flat buffer, however many parameters there are.
/// The places of parameters that have no value here hold zeros, and paddings between parameters anything.
///
/// Cloning copies nothing: both are the same values.
#[derive(Clone, Debug)]
pub struct FlatValues {
    parameters: Parameters,
    flats: Vec<Tensor>,
    present: Vec<bool>,
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

    /// A store of unspecified values, to be written and then completed by [`FlatValues::clear_missing`].
    pub(crate) fn empty(parameters: &Parameters) -> Result<Self> {
        let empty = |flat: &Tensor| Tensor::empty(parameters.gpu(), flat.shape());
        let flats = parameters.flats().iter().map(empty).collect::<Result<_, _>>()?;
        Ok(Self::new(parameters, flats, false))
    }

    /// Clears the places of parameters that have no value: one command for those that lie side by side.
    pub(crate) fn clear_missing(&self) -> Result<()> {
        let entries = self.parameters.entries();
        let mut next = 0;
        while let Some(first) = (next..entries.len()).find(|&i| !self.present[i]) {
            let flat = entries[first].flat;
            let is_in_run = |&i: &usize| entries[i].flat == flat && !self.present[i];
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

    /// The same as a store in which every parameter has a value.
    pub(crate) fn with_all_present(mut self) -> Self {
        self.present.fill(true);
        self
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

    /// Sets the value of each trainable parameter to `value`.
    ///
    /// # Errors
    /// [`Error::Op`].
    pub fn fill(&mut self, value: f32) -> Result<()> {
        let entries = self.parameters.entries().iter();
        self.present = entries.map(|entry| entry.is_trainable()).collect();
        self.masked("flat_fill", value)
    }

    /// Adds the values of `other`. A parameter has a value from now on if it has one in either.
    ///
    /// # Errors
    /// [`Error::Options`] for values of other parameters, [`Error::Op`].
    pub fn add(&mut self, other: &Self) -> Result<()> {
        self.combine(1.0, other, 1.0)
    }

    /// Adds the values of `other` times `factor`, as [`FlatValues::add`] does.
    ///
    /// # Errors
    /// As [`FlatValues::add`].
    pub fn add_scaled(&mut self, other: &Self, factor: f32) -> Result<()> {
        self.combine(1.0, other, factor)
    }

    /// Moves the values towards those of `other`: `self + weight · (other - self)`, as `torch.lerp`. With the weights of a
    /// model as `other` ([`Parameters::values`]) that is one step of a moving average.
    ///
    /// # Errors
    /// As [`FlatValues::add`].
    pub fn lerp(&mut self, other: &Self, weight: f32) -> Result<()> {
        self.combine(1.0 - weight, other, weight)
    }

    fn combine(&mut self, alpha: f32, other: &Self, beta: f32) -> Result<()> {
        self.check_same(other)?;
        for (a, b) in self.flats.iter().zip(&other.flats) {
            if a.bind().buffer.id() == b.bind().buffer.id() {
                elementwise("flat_scale", a, [alpha + beta, 0.0]).enqueue()?;
            } else {
                elementwise("flat_combine", a, [alpha, beta]).bind("b", b.bind()).enqueue()?;
            }
        }
        self.present.iter_mut().zip(&other.present).for_each(|(present, other)| *present |= other);
        Ok(())
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

    /// Multiplies all values by `factor`.
    ///
    /// # Errors
    /// [`Error::Op`].
    pub fn scale(&mut self, factor: f32) -> Result<()> {
        self.flats.iter().try_for_each(|a| Ok(elementwise("flat_scale", a, [factor, 0.0]).enqueue()?))
    }

    /// The store of what `f` makes of each flat buffer, elementwise: it gets a tensor of one axis and gives one of as many
    /// f32 values.
    ///
    /// # Errors
    /// What `f` fails with, [`Error::Options`] for a result of another shape, [`Error::Op`].
    pub fn map(&self, mut f: impl FnMut(&Tensor) -> wgrad_autograd::Result<Tensor>) -> Result<Self> {
        let mut flats = Vec::with_capacity(self.flats.len());
        for flat in &self.flats {
            let new = f(&flat.detach())?.detach();
            if new.shape() != flat.shape() || new.dtype() != DType::F32 {
                let (old, new) = (flat.shape(), new.shape());
                return Err(error(format!(
                    "map's closure gave {new:?} for {old:?}: both are f32 and have one shape"
                )));
            }
            // The padding is written below, which must not reach into a buffer of somebody else.
            flats.push(new.mul_add_scalar(1.0, -0.0)?);
        }
        let mapped = Self { parameters: self.parameters.clone(), flats, present: self.present.clone() };
        mapped.masked("flat_keep", 0.0)?;
        Ok(mapped)
    }

    /// Bounds each value to `-most..=most`; NaN stays. Counterpart: `torch.nn.utils.clip_grad_value_`.
    ///
    /// # Errors
    /// [`Error::Options`] for a bound below 0 or NaN, [`Error::Op`].
    pub fn clip_value(&mut self, most: f32) -> Result<()> {
        check_bound("clip_value", most)?;
        self.flats.iter().try_for_each(|a| Ok(elementwise("flat_clamp", a, [most, 0.0]).enqueue()?))
    }

    /// Scales all values so that their norm is `most` at most, and gives the norm that they had, a scalar: nothing waits
    /// for it. Counterpart: `torch.nn.utils.clip_grad_norm_`; as there, a norm that is NaN makes all values NaN.
    ///
    /// # Errors
    /// [`Error::Options`] for a bound below 0 or NaN, [`Error::Op`].
    pub fn clip_norm(&mut self, most: f32) -> Result<Tensor> {
        check_bound("clip_norm", most)?;
        let norm = self.global_norm()?;
        for a in &self.flats {
            elementwise("flat_clip", a, [most, 0.0]).bind("norm", norm.bind()).enqueue()?;
        }
        Ok(norm)
    }

    /// The 2-norm of all values, a scalar: infinite or NaN where one of them is.
    ///
    /// # Errors
    /// [`Error::Op`].
    pub fn global_norm(&self) -> Result<Tensor> {
        let gpu = self.parameters.gpu();
        let counts = || self.flats.iter().map(|flat| (flat.numel() / 4).min(NORM_PARTS));
        let total: usize = counts().sum();
        let parts = Tensor::empty(gpu, &[total.max(1)])?;
        let mut first = 0;
        let layout = self.parameters.layout();
        // There are ends where there are flat buffers.
        let flats = self.flats.iter().zip(counts()).enumerate().zip(layout.ends.iter().cycle());
        for ((flat, (a, count)), ends) in flats {
            let n = a.numel() / 4;
            launch(gpu, Kernel::new(&shaders::FLAT_NORM, "flat_norm_part"))
                .bind_all([("a", a.bind()), ("part", parts.bind())])
                .bind_all(tables(layout, flat, ends))
                .set_all([("n", n), ("first", first), ("count", count)])
                .max_iterations(n.div_ceil(count) + 1)
                .threads(count)
                .enqueue()?;
            first += count;
        }
        let norm = Tensor::empty(gpu, &[])?;
        launch(gpu, Kernel::new(&shaders::FLAT_NORM, "flat_norm"))
            .bind_all([("parts", parts.bind()), ("norm", norm.bind())])
            .set_all([("n", total), ("first", 0), ("count", 0)])
            .max_iterations(total.div_ceil(WORKGROUP) + WORKGROUP + 2)
            .groups(1)
            .enqueue()?;
        Ok(norm)
    }

    /// The values by name, of the parameters that have one.
    ///
    /// # Errors
    /// [`Error::Op`] if reading from the device fails.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn to_state_dict(&self) -> Result<StateDict> {
        Ok(self.named(&read(&self.flats)?))
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

    /// Runs a kernel that writes zeros where there is no value.
    fn masked(&self, entry: &'static str, alpha: f32) -> Result<()> {
        let end = |(i, entry): (usize, &Entry)| if self.present[i] { entry.end() as u32 } else { 0 };
        let ends: Vec<u32> = self.parameters.entries().iter().enumerate().map(end).collect();
        if ends.is_empty() {
            return Ok(());
        }
        let ends = self.parameters.gpu().upload(&ends)?;
        for (flat, a) in self.flats.iter().enumerate() {
            let tables = tables(self.parameters.layout(), flat, &ends);
            elementwise(entry, a, [alpha, 0.0]).bind_all(tables).enqueue()?;
        }
        Ok(())
    }

    pub(crate) fn check_same(&self, other: &Self) -> Result<()> {
        if self.parameters.id() == other.parameters.id() {
            return Ok(());
        }
        Err(error("the values belong to other parameters: both are to be of one model".to_owned()))
    }
}

fn error(message: String) -> Error {
    Error::Options { what: "gradients", message }
}

fn check_bound(what: &'static str, most: f32) -> Result<()> {
    if most >= 0.0 {
        return Ok(());
    }
    Err(Error::Options { what, message: format!("a bound of {most}: it is at least 0") })
}

/// A launch of a kernel of `optim/flat` over `a`.
fn elementwise<'a>(entry: &'static str, a: &'a Tensor, [alpha, beta]: [f32; 2]) -> Launch<'a> {
    let n = a.numel() / 4;
    launch(a.gpu(), Kernel::new(&shaders::FLAT, entry))
        .bind("a", a.bind())
        .set("n", n)
        .set_all_f32([("alpha", alpha), ("beta", beta)])
        .threads(n)
}

/// A launch over flat buffers, without runtime checks.
fn launch<'a>(gpu: &'a Gpu, kernel: Kernel<'a>) -> Launch<'a> {
    // SAFETY: the flat buffers of one layout are equally long, whole vec4s, and `n` is their length; `blocks` has an entry for
    // each block and names parameters that there are.
    unsafe { gpu.launch_unchecked(kernel) }
}
