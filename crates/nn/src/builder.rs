//! The builder that layers get their parameters from.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng;
use wgrad_autograd::{Gpu, Tensor};

use crate::parameters::{Entry, Random};
use crate::{Error, Init, Parameters, Result};

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
    values: Vec<f32>,
    declared: Vec<(Param, usize)>,
    too_large: bool,
}

/// A parameter as its layer holds it: a name now, a tensor once the builder has finished.
#[derive(Clone, Debug)]
pub struct Param(Arc<Declared>);

#[derive(Debug)]
struct Declared {
    name: String,
    shape: Vec<usize>,
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
            values: Vec::new(),
            declared: Vec::new(),
            too_large: false,
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
        let declared = Declared { name: self.path(name), shape: shape.to_vec(), tensor: OnceLock::new() };
        let param = Param(Arc::new(declared));
        let mut state = self.state();
        let State { rng, values, declared, too_large } = &mut *state;
        let at = values.len();
        let limits = self.shared.gpu.limits();
        let limit = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        let end =
            shape.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis)).and_then(|n| n.checked_add(at));
        let Some(end) = end.filter(|&end| end as u64 <= limit / 4 - 64) else {
            // Said by `finish`, so that layers need not return errors.
            *too_large = true;
            return param;
        };
        // Each parameter starts at a multiple of the alignment of storage bindings in default limits, so that
        // it can be bound by itself on every device.
        values.resize(end.next_multiple_of(64), 0.0);
        init.fill(&mut values[at..end], rng);
        declared.push((param.clone(), at));
        param
    }

    /// Puts all parameters into one buffer on the device.
    ///
    /// # Errors
    /// [`Error::Duplicate`], [`Error::ModelTooLarge`], or [`Error::Op`] if the device cannot hold them.
    pub fn finish(self) -> Result<Parameters> {
        let gpu = &self.shared.gpu;
        let mut state = self.state();
        if state.too_large {
            let limit = gpu.limits().max_storage_buffer_binding_size.min(gpu.limits().max_buffer_size);
            return Err(Error::ModelTooLarge { limit });
        }
        let mut names: Vec<&str> = state.declared.iter().map(|(param, _)| param.name()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::Duplicate { name: pair[0].to_owned() });
        }
        let values = std::mem::take(&mut state.values);
        let flat = Tensor::from_slice(gpu, &values, &[values.len().max(1)])
            .or_else(|error| if values.is_empty() { Tensor::zeros(gpu, &[64]) } else { Err(error) })?;
        let mut entries = Vec::with_capacity(state.declared.len());
        for (param, at) in state.declared.drain(..) {
            let buffer = &flat.view().buffer;
            let tensor = Tensor::from_buffer(gpu, buffer, at as u64 * 4, param.shape())?.tracked();
            let tensor = param.0.tensor.get_or_init(|| tensor).clone();
            entries.push(Entry { name: param.name().to_owned(), offset: at, tensor });
        }
        Ok(Parameters::new(flat, entries, self.random()))
    }
}
