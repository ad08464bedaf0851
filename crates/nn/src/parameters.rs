//! A model's parameters and buffers: what lies in the flat buffers, by name.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use wgrad_autograd::{Gpu, Tensor};

use crate::layout::{Entry, Layout, check_init, read_async};
use crate::{FlatValues, Gradients, Init, Load, LoadReport, Result, StateDict, pattern};

/// Random numbers of a model's layers: a key and how many draws were made. Saved in checkpoints, so that a resumed
/// run drops the same elements.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    key: u32,
    stream: Arc<AtomicU32>,
    counter: Arc<AtomicU32>,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // Both halves of the seed matter.
        let key = (seed as u32) ^ ((seed >> 32) as u32).wrapping_mul(0x9e37_79b9);
        Self { key, stream: Arc::default(), counter: Arc::default() }
    }

    /// Key and a counter that no draw had before.
    pub(crate) fn draw(&self) -> (u32, u32) {
        let stream = self.stream.load(Ordering::Relaxed).wrapping_mul(0x85eb_ca6b);
        (self.key ^ stream, self.counter.fetch_add(1, Ordering::Relaxed))
    }
}

/// All parameters and buffers of a model, in the order in which its layers declared them. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Parameters(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    gpu: Gpu,
    /// Tells these from another model's, which may look the same.
    id: u64,
    parameters: Layout,
    buffers: Layout,
    random: Random,
    void: Void,
}

/// Whether the backward pass under way counts for nothing, for layers that talk to other ranks in it.
pub(crate) type Void = Arc<AtomicBool>;

impl Parameters {
    pub(crate) fn new(
        gpu: &Gpu,
        parameters: Layout,
        buffers: Layout,
        random: Random,
        void: Void,
    ) -> Result<Self> {
        let (gpu, id) = (gpu.clone(), gpu.unique());
        Ok(Self(Arc::new(Inner { gpu, id, parameters, buffers, random, void })))
    }

    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.0.parameters
    }

    /// The device they lie on.
    pub fn gpu(&self) -> &Gpu {
        &self.0.gpu
    }

    /// All parameters' values: as few tensors of one axis as the device's limits allow. Between parameters lies padding.
    pub fn flats(&self) -> &[Tensor] {
        &self.0.parameters.flats
    }

    /// The flat buffers of what is no parameter.
    pub fn buffer_flats(&self) -> &[Tensor] {
        &self.0.buffers.flats
    }

    /// The parameters' values as a store: what is done to it is done to the parameters.
    pub fn values(&self) -> FlatValues {
        FlatValues::new(self, self.flats().to_vec(), true)
    }

    /// The parameters.
    pub fn entries(&self) -> &[Entry] {
        &self.0.parameters.entries
    }

    /// The buffers: what layers keep beside parameters, such as running estimates. Saved and loaded with them.
    pub fn buffers(&self) -> &[Entry] {
        &self.0.buffers.entries
    }

    fn all(&self) -> impl Iterator<Item = &Entry> + Clone {
        self.entries().iter().chain(self.buffers())
    }

    /// The parameter or buffer of this name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.all().find(|entry| entry.name == name).map(|entry| &entry.tensor)
    }

    /// Names and shapes of all parameters and buffers, as a state dict of this model has them.
    pub fn shapes(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.0.parameters.shapes().chain(self.0.buffers.shapes())
    }

    /// Number of values of all parameters, frozen ones included.
    pub fn count(&self) -> usize {
        self.entries().iter().map(|entry| entry.tensor.numel()).sum()
    }

    /// Has the layers' random draws depend on `stream` too: the ranks of a data-parallel run, which share a seed, each take one of
    /// their own, or all would drop the same elements. Stream 0 is the one at first.
    pub fn set_random_stream(&self, stream: u32) {
        self.0.random.stream.store(stream, Ordering::Relaxed);
    }

    /// Calls `f`, whose backward passes count for nothing if `is_void`: layers then send zeros to other ranks instead of what comes of
    /// this rank's loss. A loss of rows that don't count may be NaN, and is still NaN times 0.
    pub fn with_void<T>(&self, is_void: bool, f: impl FnOnce() -> T) -> T {
        self.0.void.store(is_void, Ordering::Relaxed);
        let result = f();
        self.0.void.store(false, Ordering::Relaxed);
        result
    }

    /// How many random draws the layers made so far.
    pub fn draws(&self) -> u32 {
        self.0.random.counter.load(Ordering::Relaxed)
    }

    /// Continues the layers' random draws after this many.
    pub fn set_draws(&self, draws: u32) {
        self.0.random.counter.store(draws, Ordering::Relaxed);
    }

    /// Freezes the parameters whose names are like `pattern`, where `*` stands for any characters: graphs made from now on
    /// don't track them, their gradients are not computed, and optimizers leave them as they are. Counterpart:
    /// `requires_grad_(False)`. Running estimates move all the same, in a forward pass for training.
    ///
    /// # Errors
    /// [`crate::Error::Options`] if no parameter's name is like `pattern`.
    pub fn freeze(&self, pattern: &str) -> Result<()> {
        self.set_frozen("freeze", pattern, true)
    }

    /// Makes the parameters whose names are like `pattern` trainable again, as [`Parameters::freeze`] selects them.
    ///
    /// # Errors
    /// As [`Parameters::freeze`].
    pub fn unfreeze(&self, pattern: &str) -> Result<()> {
        self.set_frozen("unfreeze", pattern, false)
    }

    fn set_frozen(&self, what: &'static str, pattern: &str, frozen: bool) -> Result<()> {
        pattern::check(what, pattern, self.entries().iter().map(|entry| entry.name.as_str()))?;
        let entries = self.entries().iter().filter(|entry| pattern::matches(pattern, &entry.name));
        entries.for_each(|entry| entry.param.set_frozen(frozen));
        Ok(())
    }

    /// Gives the parameters whose names are like `pattern`, where `*` stands for any characters, other first values, drawn by
    /// `seed` and their dotted names. Layers start as PyTorch's do; this is for starting otherwise, before training:
    /// `params.reinit("conv*.weight", Init::KaimingNormal { .. }, seed)?`. Counterpart: `torch.nn.init`.
    ///
    /// # Errors
    /// [`crate::Error::Options`] if no parameter's name is like `pattern`, or if one of them cannot start that way;
    /// nothing is then changed. [`crate::Error::Op`] if the device fails.
    pub fn reinit(&self, pattern: &str, init: Init, seed: u64) -> Result<()> {
        pattern::check("reinit", pattern, self.entries().iter().map(|entry| entry.name.as_str()))?;
        let entries = || self.entries().iter().filter(|entry| pattern::matches(pattern, &entry.name));
        entries().try_for_each(|entry| check_init(&entry.name, entry.tensor.shape(), init))?;
        for entry in entries().filter(|entry| !entry.tensor.is_empty()) {
            let mut values = vec![0.0; entry.tensor.numel()];
            init.fill(&mut values, entry.tensor.shape(), seed, &entry.name);
            self.gpu().write(&entry.range_of(&self.flats()[entry.flat]), &values)?;
        }
        Ok(())
    }

    /// The gradients of `loss`, a scalar, for the trainable parameters that it depends on. Gradients of other leaves, of
    /// other models and of frozen parameters are not computed. Frees the graph, as [`Tensor::backward`] does.
    ///
    /// # Errors
    /// [`crate::Error::Op`] as [`Tensor::backward`] has them, and [`crate::Error::Options`] where an op gave a gradient of
    /// another shape than its input's.
    pub fn gradients(&self, loss: &Tensor) -> Result<Gradients> {
        self.gradients_by_part(loss, &[], |_, _| Ok(()))
    }

    /// The values of parameters and buffers by name, as PyTorch's `state_dict()`.
    ///
    /// # Errors
    /// [`crate::Error::Op`] if reading from the device fails.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn state_dict(&self) -> Result<StateDict> {
        Ok(self.named(&crate::layout::read(self.flats())?, &crate::layout::read(self.buffer_flats())?))
    }

    /// As [`Parameters::state_dict`], without blocking.
    ///
    /// # Errors
    /// [`crate::Error::Op`] if reading from the device fails.
    pub async fn state_dict_async(&self) -> Result<StateDict> {
        Ok(self.named(&read_async(self.flats()).await?, &read_async(self.buffer_flats()).await?))
    }

    fn named(&self, parameters: &[Vec<f32>], buffers: &[Vec<f32>]) -> StateDict {
        let mut state = self.0.parameters.split(parameters);
        let buffers = self.0.buffers.split(buffers);
        state.tensors.extend(buffers.tensors);
        state.integers.extend(buffers.integers);
        state
    }

    /// Replaces all values of parameters and buffers by those of `state`, which must hold exactly these names and
    /// shapes; `file` stands for it in errors.
    ///
    /// # Errors
    /// [`crate::Error::Mismatch`]; nothing is then changed.
    pub fn load_state_dict(&self, state: &StateDict, file: &str) -> Result<()> {
        self.load(state, Load::strict().named(file)).map(drop)
    }

    /// Replaces values of parameters and buffers by those of `state`, as `options` say, and reports what was loaded and what
    /// was not.
    ///
    /// # Errors
    /// [`crate::Error::Mismatch`] where the options are strict and names or shapes differ, [`crate::Error::Options`] for a
    /// pattern that no name is like; nothing is then changed.
    pub fn load(&self, state: &StateDict, options: Load) -> Result<LoadReport> {
        let plan = options.plan(self.shapes(), state)?;
        for entry in self.all() {
            if let Some(values) = plan.values(&entry.name) {
                self.gpu().write(&entry.tensor.bind(), values)?;
            }
        }
        Ok(plan.report)
    }
}
