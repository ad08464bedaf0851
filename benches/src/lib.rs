//! What the benchmarks share: values, models and training steps.

pub mod plot;

use wgrad::data::{DeviceImages, Normalize, synthetic};
use wgrad::nn::models::{Cnn, CnnOptions, Mlp, MlpOptions, Resnet9, Resnet9Options};
use wgrad::nn::{
    self, Adam, AdamOptions, Builder, Mode, Module, Optimizer, Parameters, Result, Sgd, SgdOptions,
};
use wgrad::{Gpu, Tensor};

/// Values that no kernel could shortcut.
///
/// # Panics
/// If the device cannot hold them.
pub fn random(gpu: &Gpu, shape: &[usize]) -> Tensor {
    let mut state = 1u32;
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        })
        .collect();
    Tensor::from_slice(gpu, &values, shape).expect("the device holds the benchmark's tensors")
}

/// The CNN of the example `cifar10`, with `width` times its channels.
pub fn cnn(builder: &Builder, width: usize) -> Cnn {
    Cnn::new(builder, &CnnOptions { widths: vec![64 * width, 128 * width], ..Default::default() })
}

/// The residual net of the example `cifar10`.
pub fn resnet9(builder: &Builder, width: usize) -> Resnet9 {
    Resnet9::new(builder, Resnet9Options { width, ..Default::default() })
}

/// A model with what trains it, on one batch of synthetic images that lies on the device.
pub struct Training {
    model: Box<dyn Module>,
    parameters: Parameters,
    optimizer: Box<dyn Optimizer>,
    images: DeviceImages,
}

impl Training {
    /// A model on `batch` images of 32×32 RGB, trained by SGD with momentum.
    ///
    /// # Errors
    /// What the device reports.
    pub fn sgd<M: Module + 'static>(
        gpu: &Gpu,
        batch: usize,
        model: impl FnOnce(&Builder) -> M,
    ) -> Result<Self> {
        let (model, parameters) = nn::build(gpu, 0, |b| Box::new(model(b)))?;
        let options = SgdOptions { lr: 0.01, momentum: 0.9, ..Default::default() };
        let optimizer = Box::new(Sgd::new(&parameters, options)?);
        let images = DeviceImages::new(gpu, &synthetic::images(batch, 0)).expect("images fit");
        Ok(Self { model, parameters, optimizer, images })
    }

    /// The MLP on `batch` grey images of 28×28, trained by Adam.
    ///
    /// # Errors
    /// What the device reports.
    pub fn mlp(gpu: &Gpu, batch: usize) -> Result<Self> {
        let (model, parameters) = nn::build(gpu, 0, |b| Box::new(Mlp::new(b, &MlpOptions::default())))?;
        let optimizer = Box::new(Adam::new(&parameters, AdamOptions::default())?);
        let grey = synthetic::images(batch, 0).to_grey_28().expect("32×32 images hold 28×28 ones");
        let images = DeviceImages::new(gpu, &grey).expect("images fit");
        Ok(Self { model, parameters, optimizer, images })
    }

    /// Records one step, and gives its loss.
    ///
    /// # Errors
    /// What the device reports.
    pub fn record(&mut self) -> Result<Tensor> {
        let (x, labels) = self.images.batch(0, self.images.len(), Normalize::default()).expect("a batch");
        let loss = self.model.forward(&x, Mode::Train)?.cross_entropy(&labels, 0.0)?;
        self.optimizer.step(&self.parameters.gradients(&loss)?)?;
        Ok(loss)
    }

    /// One step, waited for.
    ///
    /// # Errors
    /// What the device reports.
    pub fn step(&mut self) -> Result<()> {
        self.record()?;
        Ok(self.parameters.gpu().synchronize()?)
    }
}
