//! The two models of the curves, under the fixtures' names.

use wgrad_nn::autograd::{Conv2dOptions, Gpu, Pool2dOptions, Tensor};
use wgrad_nn::{Builder, Conv2d, Linear, Mode, Module, Parameters, Result};

/// The model of the example cifar10.
pub struct Cnn {
    conv1: Conv2d,
    conv2: Conv2d,
    fc: Linear,
}

impl Cnn {
    pub fn new(gpu: &Gpu, seed: u64) -> (Self, Parameters) {
        let builder = Builder::new(gpu, seed);
        let same = Conv2dOptions { padding: [1, 1], ..Default::default() };
        let model = Self {
            conv1: Conv2d::new(&builder.scope("conv1"), 3, 64, [3, 3], same),
            conv2: Conv2d::new(&builder.scope("conv2"), 64, 128, [3, 3], same),
            fc: Linear::new(&builder.scope("fc"), 8192, 10),
        };
        (model, builder.finish().unwrap())
    }
}

impl Module for Cnn {
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let x = self.conv1.forward(x, mode)?.relu()?.max_pool2d(Pool2dOptions::square(2))?;
        let x = self.conv2.forward(&x, mode)?.relu()?.max_pool2d(Pool2dOptions::square(2))?;
        self.fc.forward(&x.flatten(1)?, mode)
    }
}

/// The model of the example mlp.
pub struct Mlp {
    fc1: Linear,
    fc2: Linear,
    fc3: Linear,
}

impl Mlp {
    pub fn new(gpu: &Gpu, seed: u64) -> (Self, Parameters) {
        let builder = Builder::new(gpu, seed);
        let model = Self {
            fc1: Linear::new(&builder.scope("fc1"), 784, 256),
            fc2: Linear::new(&builder.scope("fc2"), 256, 128),
            fc3: Linear::new(&builder.scope("fc3"), 128, 10),
        };
        (model, builder.finish().unwrap())
    }
}

impl Module for Mlp {
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let x = self.fc1.forward(x, mode)?.relu()?;
        let x = self.fc2.forward(&x, mode)?.relu()?;
        self.fc3.forward(&x, mode)
    }
}
