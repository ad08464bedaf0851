//! Bytes on the device that a training step takes, next to what it needs.

use std::fmt;

use wgrad_autograd::Gpu;
use wgrad_nn::{Optimizer, Parameters};

/// Bytes of a training step, without the data set and whatever else lay on the device before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepMemory {
    /// Of the parameters.
    pub parameters: u64,
    /// Of all gradients, as many as the parameters.
    pub gradients: u64,
    /// Of what the optimizer keeps for each parameter.
    pub moments: u64,
    /// What the forward pass leaves for the backward pass, batch and loss included.
    pub saved: u64,
    /// The largest buffer of the step.
    pub workspace: u64,
    /// Most bytes in use at one time.
    pub peak: u64,
    /// Bytes held by the device's pool, in use or kept for reuse.
    pub pool: u64,
}

impl StepMemory {
    /// What no order of allocation could do without: parameters, gradients, moments, saved activations and one
    /// workspace.
    pub fn needed(&self) -> u64 {
        self.parameters + self.gradients + self.moments + self.saved + self.workspace
    }
}

impl fmt::Display for StepMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mb = |bytes: u64| bytes as f64 / 1e6;
        let ratio = |bytes: u64| bytes as f64 / self.needed().max(1) as f64;
        write!(
            f,
            "memory of a step: peak {:.1} MB ({:.2} × needed), pool {:.1} MB ({:.2} ×); needed {:.1} MB: parameters \
             {:.1}, gradients {:.1}, moments {:.1}, saved {:.1}, workspace {:.1}",
            mb(self.peak),
            ratio(self.peak),
            mb(self.pool),
            ratio(self.pool),
            mb(self.needed()),
            mb(self.parameters),
            mb(self.gradients),
            mb(self.moments),
            mb(self.saved),
            mb(self.workspace),
        )
    }
}

/// A step under way.
pub(crate) struct Measuring {
    memory: StepMemory,
    /// What lies on the device and is no part of the step.
    others: u64,
    before: u64,
}

impl Measuring {
    /// Before the step's batch is made. Starts the device's peak anew.
    pub(crate) fn start(parameters: &Parameters, optimizer: &dyn Optimizer) -> Self {
        let gpu = parameters.gpu();
        gpu.reset_peak_memory();
        let bytes = parameters.flats().iter().map(|flat| flat.bind().buffer.size()).sum();
        let moments = optimizer.state().bytes();
        let memory = StepMemory { parameters: bytes, gradients: bytes, moments, ..Default::default() };
        let before = gpu.memory().live;
        Self { memory, others: before.saturating_sub(bytes + moments), before }
    }

    pub(crate) fn forward_done(&mut self, gpu: &Gpu) {
        self.memory.saved = gpu.memory().live.saturating_sub(self.before);
    }

    pub(crate) fn step_done(self, gpu: &Gpu) -> StepMemory {
        let stats = gpu.memory();
        StepMemory {
            workspace: stats.largest,
            peak: stats.peak.saturating_sub(self.others),
            pool: (stats.live + stats.cached).saturating_sub(self.others),
            ..self.memory
        }
    }
}
