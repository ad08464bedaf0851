//! [`build`] makes a model and its parameters at once, and the builder that layers get their parameters from.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use wgrad_autograd::{Gpu, Tensor};
use wgrad_distributed::Communicator;

use crate::layout::Layout;
use crate::parameters::{Random, Void};
use crate::{Error, Init, Integer, Parameters, Result};

/// The model that `make` builds, and its parameters, on `gpu`.
///
/// First values, and later what dropout drops, follow from `seed`. A parameter's first values depend on the seed and its
/// dotted name only, not on what else is declared or in which order.
///
/// ```no_run
/// use wgrad_nn::autograd::Gpu;
/// use wgrad_nn::{Linear, build};
///
/// let gpu = Gpu::new()?;
/// let (line, params) = build(&gpu, 0, |b| Linear::new(&b.scope("line"), 1, 1))?;
/// assert_eq!(params.count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Duplicate`], [`Error::ModelTooLarge`], [`Error::Options`] for an initial bound that is no number, or
/// [`Error::Op`] if the device cannot hold the parameters.
pub fn build<M>(gpu: &Gpu, seed: u64, make: impl FnOnce(&Builder) -> M) -> Result<(M, Parameters)> {
    build_with(gpu, seed, BuildOptions::default(), make)
}

/// As [`build`], as the options say: for models that are trained by several ranks.
///
/// # Errors
/// As [`build`].
pub fn build_with<M>(
    gpu: &Gpu,
    seed: u64,
    options: BuildOptions,
    make: impl FnOnce(&Builder) -> M,
) -> Result<(M, Parameters)> {
    let builder = Builder::new(gpu, seed, options);
    let model = make(&builder);
    Ok((model, builder.finish()?))
}

/// How a model is built; the default is for one that is trained on one device.
#[derive(Clone, Debug, Default)]
pub struct BuildOptions {
    /// The ranks over whose batches together [`BatchNorm2d`](crate::BatchNorm2d) layers normalise in training. With `None` each
    /// rank normalises by its own batch. The layers then talk to the other ranks in forward and in backward passes, so that all
    /// ranks make the same passes in the same order. Counterpart:
    /// `torch.nn.SyncBatchNorm.convert_sync_batchnorm`.
    pub synchronized: Option<Arc<dyn Communicator>>,
    /// The most bytes in a flat buffer of parameters; one that is larger has a buffer of its own. With `None` it is what the
    /// device's limits allow, and nothing depends on it but what can be done to a part of the parameters, such as
    /// [`OptimizerState::keep_only`](crate::OptimizerState::keep_only).
    pub flat_bytes: Option<u64>,
}

/// Hands out parameters under dotted names and collects them. [`build`] makes one.
#[derive(Clone)]
pub struct Builder {
    prefix: String,
    shared: Arc<Shared>,
}

struct Shared {
    gpu: Gpu,
    seed: u64,
    options: BuildOptions,
    random: Random,
    void: Void,
    declared: Mutex<Declared>,
}

/// What layers have declared so far, and how it starts.
#[derive(Default)]
struct Declared {
    parameters: Vec<(Param, Init)>,
    buffers: Vec<(Param, Init)>,
}

/// A parameter or buffer as its layer holds it: a name now, a tensor once the model has been built.
#[derive(Clone, Debug)]
pub struct Param(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    shape: Vec<usize>,
    integer: Option<Integer>,
    frozen: AtomicBool,
    /// The values as a leaf of graphs, and cut off from them; for buffers the second only.
    tensors: OnceLock<(Option<Tensor>, Tensor)>,
}

impl Param {
    fn new(name: String, shape: &[usize], integer: Option<Integer>) -> Self {
        let (frozen, tensors) = (AtomicBool::new(false), OnceLock::new());
        Self(Arc::new(Inner { name, shape: shape.to_vec(), integer, frozen, tensors }))
    }

    /// The dotted name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Elements along each axis.
    pub fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    /// The values; tracked, unless they are a buffer's or frozen.
    ///
    /// # Errors
    /// [`Error::Options`] while the model is still being built.
    pub fn tensor(&self) -> Result<&Tensor> {
        let (leaf, plain) = self.0.tensors.get().ok_or_else(|| Error::Options {
            what: "parameter",
            message: format!(
                "{} has no values yet: a forward pass comes after nn::build has returned",
                self.name()
            ),
        })?;
        Ok(leaf.as_ref().filter(|_| !self.is_frozen()).unwrap_or(plain))
    }

    pub(crate) fn integer(&self) -> Option<Integer> {
        self.0.integer
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.0.frozen.load(Ordering::Relaxed)
    }

    pub(crate) fn set_frozen(&self, frozen: bool) {
        self.0.frozen.store(frozen, Ordering::Relaxed);
    }

    /// Gives the layers their values, tracked or not. The tensor under which a graph knows them.
    pub(crate) fn place(&self, values: Tensor, tracked: bool) -> Tensor {
        let leaf = tracked.then(|| values.tracked());
        let (leaf, plain) = self.0.tensors.get_or_init(|| (leaf, values));
        leaf.as_ref().unwrap_or(plain).clone()
    }
}

impl Builder {
    fn new(gpu: &Gpu, seed: u64, options: BuildOptions) -> Self {
        let (gpu, random) = (gpu.clone(), Random::new(seed));
        let (void, declared) = (Void::default(), Mutex::default());
        Self {
            prefix: String::new(),
            shared: Arc::new(Shared { gpu, seed, options, random, void, declared }),
        }
    }

    /// A builder for the layer `name` within this one.
    pub fn scope(&self, name: impl AsRef<str>) -> Self {
        Self { prefix: self.path(name.as_ref()), shared: Arc::clone(&self.shared) }
    }

    /// The dotted name of the layer that this builder is for.
    pub fn name(&self) -> &str {
        &self.prefix
    }

    /// The device that the model is going to lie on.
    pub fn gpu(&self) -> &Gpu {
        &self.shared.gpu
    }

    /// The ranks over which layers are to take their statistics, where there are several: see [`BuildOptions::synchronized`].
    pub fn synchronized(&self) -> Option<&Arc<dyn Communicator>> {
        self.shared.options.synchronized.as_ref().filter(|ranks| ranks.size() > 1)
    }

    fn path(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }

    fn declared(&self) -> MutexGuard<'_, Declared> {
        self.shared.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn void(&self) -> Void {
        Arc::clone(&self.shared.void)
    }

    pub(crate) fn random(&self) -> Random {
        self.shared.random.clone()
    }

    /// Declares a parameter, whose first values `init` says.
    pub fn param(&self, name: &str, shape: &[usize], init: Init) -> Param {
        let param = Param::new(self.path(name), shape, None);
        self.declared().parameters.push((param.clone(), init));
        param
    }

    /// Declares a buffer, all `value` at first: values that are saved and loaded like parameters, but that no
    /// optimizer changes, such as running estimates.
    pub fn buffer(&self, name: &str, shape: &[usize], value: f32) -> Param {
        self.declare_buffer(name, shape, value, None)
    }

    /// As [`Builder::buffer`], for whole numbers that state dicts write as integers, such as batch norm's count of
    /// batches. On the device they are f32 as all else, exact up to 2²⁴.
    pub fn integer_buffer(&self, name: &str, shape: &[usize], value: f32, kind: Integer) -> Param {
        self.declare_buffer(name, shape, value, Some(kind))
    }

    fn declare_buffer(&self, name: &str, shape: &[usize], value: f32, kind: Option<Integer>) -> Param {
        let param = Param::new(self.path(name), shape, kind);
        self.declared().buffers.push((param.clone(), Init::Constant(value)));
        param
    }

    /// Puts all parameters into flat buffers on the device, and all buffers into others.
    fn finish(&self) -> Result<Parameters> {
        let Declared { parameters, buffers } = std::mem::take(&mut *self.declared());
        let mut names: Vec<&str> = parameters.iter().chain(&buffers).map(|(param, _)| param.name()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::Duplicate { name: pair[0].to_owned() });
        }
        let Shared { gpu, seed, options, .. } = &*self.shared;
        let parameters = Layout::place(gpu, *seed, parameters, true, options.flat_bytes)?;
        let buffers = Layout::place(gpu, *seed, buffers, false, None)?;
        Parameters::new(gpu, parameters, buffers, self.random(), self.void())
    }
}
