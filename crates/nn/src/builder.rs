//! The builder that layers get their parameters from.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng;
use wgrad_autograd::{Gpu, Tensor};

use crate::parameters::{Entry, Flat, Random};
use crate::{Error, Init, Integer, Parameters, Result};

/// Hands out parameters under dotted names and collects them.
#[derive(Clone)]
pub struct Builder {
    prefix: String,
    shared: Arc<Shared>,
}

struct Shared {
    gpu: Gpu,
    random: Random,
    state: Mutex<State>,
}

struct State {
    rng: Pcg64Mcg,
    parameters: Draft,
    buffers: Draft,
    too_large: bool,
    /// The first parameter that cannot start as asked: said by `finish`, so that layers need not return errors.
    refused: Option<(Param, Init)>,
}

/// Values that are going to lie in one buffer on the device, and where each declared part of them begins.
#[derive(Default)]
struct Draft {
    values: Vec<f32>,
    declared: Vec<(Param, usize)>,
}

/// A parameter or buffer as its layer holds it: a name now, a tensor once the builder has finished.
#[derive(Clone, Debug)]
pub struct Param(Arc<Declared>);

#[derive(Debug)]
struct Declared {
    name: String,
    shape: Vec<usize>,
    integer: Option<Integer>,
    tensor: OnceLock<Tensor>,
}

impl Param {
    /// The dotted name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Elements along each axis.
    pub fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    /// The values.
    ///
    /// # Errors
    /// [`Error::Options`] before [`Builder::finish`].
    pub fn tensor(&self) -> Result<&Tensor> {
        self.0.tensor.get().ok_or_else(|| Error::Options {
            what: "parameter",
            message: format!(
                "{} has no values yet: call Builder::finish before the first forward pass",
                self.name()
            ),
        })
    }
}

impl Builder {
    /// Parameters on `gpu`, initialised and later dropped out from `seed`.
    pub fn new(gpu: &Gpu, seed: u64) -> Self {
        let state = State {
            rng: Pcg64Mcg::seed_from_u64(seed),
            parameters: Draft::default(),
            buffers: Draft::default(),
            too_large: false,
            refused: None,
        };
        let shared = Shared { gpu: gpu.clone(), random: Random::new(seed), state: Mutex::new(state) };
        Self { prefix: String::new(), shared: Arc::new(shared) }
    }

    /// A builder for the layer `name` within this one.
    pub fn scope(&self, name: impl AsRef<str>) -> Self {
        Self { prefix: self.path(name.as_ref()), shared: Arc::clone(&self.shared) }
    }

    /// The dotted name of the layer that this builder is for.
    pub fn name(&self) -> &str {
        &self.prefix
    }

    fn path(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn random(&self) -> Random {
        self.shared.random.clone()
    }

    /// Declares a parameter. Its first values are drawn now, so the same declarations in the same order from the
    /// same seed give the same model.
    pub fn param(&self, name: &str, shape: &[usize], init: Init) -> Param {
        let mut state = self.state();
        let State { rng, parameters, too_large, refused, .. } = &mut *state;
        let (param, values) = self.declare(parameters, name, shape, None);
        match values {
            Some(values) if init.is_usable() || values.is_empty() => init.fill(values, rng),
            Some(_) => *refused = refused.take().or_else(|| Some((param.clone(), init))),
            None => *too_large = true,
        }
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
        let mut state = self.state();
        let State { buffers, too_large, .. } = &mut *state;
        let (param, values) = self.declare(buffers, name, shape, kind);
        match values {
            Some(values) => values.fill(value),
            None => *too_large = true,
        }
        param
    }

    /// Appends a part to `draft`. `None` where it grew too large: said by `finish`, so that layers need not return
    /// errors.
    fn declare<'a>(
        &self,
        draft: &'a mut Draft,
        name: &str,
        shape: &[usize],
        integer: Option<Integer>,
    ) -> (Param, Option<&'a mut [f32]>) {
        let (name, shape) = (self.path(name), shape.to_vec());
        let declared = Declared { name, shape, integer, tensor: OnceLock::new() };
        let param = Param(Arc::new(declared));
        let at = draft.values.len();
        let end = param
            .shape()
            .iter()
            .try_fold(1usize, |n, &axis| n.checked_mul(axis))
            .and_then(|n| n.checked_add(at));
        let Some(end) = end.filter(|&end| end as u64 <= self.limit() / 4 - 64) else {
            return (param, None);
        };
        // Each part starts at a multiple of the alignment of storage bindings in default limits, so that it can be
        // bound by itself on every device.
        draft.values.resize(end.next_multiple_of(64), 0.0);
        draft.declared.push((param.clone(), at));
        (param, Some(&mut draft.values[at..end]))
    }

    /// Bytes that one buffer of the device may have.
    fn limit(&self) -> u64 {
        let limits = self.shared.gpu.limits();
        limits.max_storage_buffer_binding_size.min(limits.max_buffer_size)
    }

    /// Puts all parameters into one buffer on the device, and all buffers into another.
    ///
    /// # Errors
    /// [`Error::Duplicate`], [`Error::ModelTooLarge`], [`Error::Options`] for an initial bound that is no number, or
    /// [`Error::Op`] if the device cannot hold them.
    pub fn finish(self) -> Result<Parameters> {
        let mut state = self.state();
        if state.too_large {
            return Err(Error::ModelTooLarge { limit: self.limit() });
        }
        if let Some((param, init)) = &state.refused {
            let message =
                format!("{} cannot start as {init:?}: a bound is finite and at least 0", param.name());
            return Err(Error::Options { what: "parameter", message });
        }
        let declared = state.parameters.declared.iter().chain(&state.buffers.declared);
        let mut names: Vec<&str> = declared.map(|(param, _)| param.name()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::Duplicate { name: pair[0].to_owned() });
        }
        let parameters = self.place(std::mem::take(&mut state.parameters), Tensor::tracked)?;
        let buffers = self.place(std::mem::take(&mut state.buffers), Tensor::clone)?;
        Ok(Parameters::new(parameters, buffers, self.random()))
    }

    /// Uploads a draft and gives each layer its part, as `leaf` makes it.
    fn place(&self, draft: Draft, leaf: fn(&Tensor) -> Tensor) -> Result<Flat> {
        let (gpu, values) = (&self.shared.gpu, draft.values);
        let flat = match values.len() {
            0 => Tensor::zeros(gpu, &[64])?,
            n => Tensor::from_slice(gpu, &values, &[n])?,
        };
        let mut entries = Vec::with_capacity(draft.declared.len());
        for (param, at) in draft.declared {
            let buffer = &flat.bind().buffer;
            let tensor = leaf(&Tensor::from_buffer(gpu, buffer, at as u64 * 4, param.shape())?);
            // Errors about its values name it.
            tensor.bind().set_name(param.name());
            let tensor = param.0.tensor.get_or_init(|| tensor).clone();
            let integer = param.0.integer;
            entries.push(Entry { name: param.name().to_owned(), offset: at, tensor, integer });
        }
        Ok(Flat { values: flat, entries })
    }
}
