//! What the benchmarks share: values, models and training steps.

/// The models of the example `cifar10`.
#[path = "../../examples/cifar10/models.rs"]
#[allow(missing_docs, reason = "an example's methods explain themselves")]
pub mod models;
pub mod plot;

use wgrad::data::{DeviceImages, Normalize, synthetic};
use wgrad::nn::{
    self, Adam, AdamOptions, Builder, Conv2d, Flatten, Linear, Mode, Module, Optimizer, Parameters, Result,
    Sequential, Sgd, SgdOptions,
};
use wgrad::{Conv2dOptions, Gpu, Tensor};

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
pub fn cnn(builder: &Builder, width: usize) -> Sequential {
    let same = Conv2dOptions { padding: [1, 1], ..Default::default() };
    let (first, second) = (64 * width, 128 * width);
    Sequential::new(builder)
        .with(|b| Conv2d::new(b, 3, first, [3, 3], same).with_relu().with_max_pool())
        .with(|b| Conv2d::new(b, first, second, [3, 3], same).with_relu().with_max_pool())
        .with(|_| Flatten)
        .with(|b| Linear::new(b, second * 8 * 8, 10))
}

/// An MLP of 784, 256, 128 and 10 neurons.
pub fn mlp(builder: &Builder) -> Sequential {
    Sequential::new(builder)
        .with(|_| Flatten)
        .with(|b| Linear::new(b, 784, 256).with_relu())
        .with(|b| Linear::new(b, 256, 128).with_relu())
        .with(|b| Linear::new(b, 128, 10))
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
        let (model, parameters) = nn::build(gpu, 0, |b| Box::new(mlp(b)))?;
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
