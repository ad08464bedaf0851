//! One training step after another: which samples come next, and what is done with them.

use wgrad::data::{Augment, DeviceImages, Draw, Normalize};
use wgrad::nn::{self, Adam, AdamOptions, Mode, Module, Optimizer, Parameters};
use wgrad::train::{Error, Result};
use wgrad::{Gpu, Tensor};

use crate::network::Network;
use crate::samples::Samples;

/// Samples of a training step.
pub const BATCH: usize = 16;

/// Paper is 0, ink is 1.
pub const NORMALIZE: Normalize = Normalize { mean: 0.0, std: 1.0 };

/// Drawings are shifted by up to two pixels, each time differently.
const AUGMENT: Augment = Augment { padding: 2, flip: false };

/// A network, and what it takes to train it.
pub struct Lesson {
    pub network: Network,
    pub parameters: Parameters,
    adam: Adam,
    seed: u64,
    set: Option<DeviceImages>,
    classes: usize,
    epoch: usize,
    next: usize,
}

impl Lesson {
    pub fn new(gpu: &Gpu, seed: u64) -> Result<Self> {
        let (network, parameters) = nn::build(gpu, seed, Network::new)?;
        let adam = Adam::new(&parameters, AdamOptions { lr: 2e-3, ..Default::default() })?;
        Ok(Self { network, parameters, adam, seed, set: None, classes: 0, epoch: 0, next: 0 })
    }

    /// Learns from these samples from the next step on.
    pub fn set_samples(&mut self, samples: &Samples) -> Result<()> {
        self.classes = samples.names().len();
        self.set = match samples.enough() {
            true => Some(DeviceImages::new(self.parameters.gpu(), &samples.images(BATCH)?)?),
            false => None,
        };
        self.next = usize::MAX; // Anything past the end begins an epoch.
        Ok(())
    }

    /// Whether there is anything to learn.
    pub fn ready(&self) -> bool {
        self.set.is_some()
    }

    /// Classes in use: the network has outputs for more.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Records one training step and returns its loss, a scalar.
    ///
    /// # Errors
    /// If there is nothing to learn from, or the device cannot do it.
    pub fn record(&mut self) -> Result<Tensor> {
        let Some(set) = &self.set else { return Err(Error::Usage("no drawings of two classes".into())) };
        if self.next.saturating_add(BATCH) > set.len() {
            self.epoch += 1;
            self.next = 0;
            set.shuffle(self.seed, self.epoch)?;
        }
        let draw = Draw { seed: self.seed, epoch: self.epoch };
        let (x, labels) = set.batch_augmented(self.next, BATCH, NORMALIZE, AUGMENT, draw)?;
        self.next += BATCH;
        let logits = self.network.forward(&x, Mode::Train)?.slice(1, 0, self.classes)?;
        let loss = logits.cross_entropy(&labels, 0.0)?;
        self.adam.step(&self.parameters.gradients(&loss)?)?;
        Ok(loss)
    }
}
