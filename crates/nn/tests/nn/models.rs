//! The models of the curves, under the fixtures' names.

use wgrad_nn::autograd::{BatchNormOptions, Conv2dOptions, Gpu, Tensor};
use wgrad_nn::{
    BatchNorm2d, Builder, Conv2d, GlobalMaxPool2d, Linear, Mode, Module, Parameters, Residual, Result,
    Sequential, build,
};

/// The model of the example cifar10.
pub struct Cnn {
    conv1: Conv2d,
    conv2: Conv2d,
    fc: Linear,
}

impl Cnn {
    pub fn new(gpu: &Gpu, seed: u64) -> (Self, Parameters) {
        let same = Conv2dOptions { padding: [1, 1], ..Default::default() };
        let make = |builder: &Builder| Self {
            conv1: Conv2d::new(&builder.scope("conv1"), 3, 64, [3, 3], same).with_relu().with_max_pool(),
            conv2: Conv2d::new(&builder.scope("conv2"), 64, 128, [3, 3], same).with_relu().with_max_pool(),
            fc: Linear::new(&builder.scope("fc"), 8192, 10),
        };
        build(gpu, seed, make).unwrap()
    }
}

impl Module for Cnn {
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        let x = self.conv2.forward(&self.conv1.forward(x)?)?;
        self.fc.forward(&x.flatten(1)?)
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
        let make = |builder: &Builder| Self {
            fc1: Linear::new(&builder.scope("fc1"), 784, 256).with_relu(),
            fc2: Linear::new(&builder.scope("fc2"), 256, 128).with_relu(),
            fc3: Linear::new(&builder.scope("fc3"), 128, 10),
        };
        build(gpu, seed, make).unwrap()
    }
}

impl Module for Mlp {
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        let x = self.fc2.forward(&self.fc1.forward(x)?)?;
        self.fc3.forward(&x)
    }
}

/// A convolution, batch norm, ReLU and perhaps pooling: `conv` and `norm`.
struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm2d,
}

impl ConvNorm {
    fn new(builder: &Builder, inputs: usize, outputs: usize, max_pool: bool) -> Self {
        let same = Conv2dOptions { padding: [1, 1], ..Default::default() };
        let options = BatchNormOptions { relu: true, max_pool, ..Default::default() };
        Self {
            conv: Conv2d::without_bias(&builder.scope("conv"), inputs, outputs, [3, 3], same),
            norm: BatchNorm2d::new(&builder.scope("norm"), outputs, options),
        }
    }
}

impl Module for ConvNorm {
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        self.norm.forward(&self.conv.forward(x)?, mode)
    }
}

/// The model that the example cifar10 trains with `--model resnet9`, its parts in order.
pub struct Resnet9(Vec<Box<dyn Module>>);

impl Resnet9 {
    pub fn new(gpu: &Gpu, seed: u64, width: usize) -> (Self, Parameters) {
        build(gpu, seed, |builder| Self::make(builder, width)).unwrap()
    }

    fn make(builder: &Builder, width: usize) -> Self {
        let block = |name: &str, inputs: usize, outputs: usize| -> Box<dyn Module> {
            Box::new(ConvNorm::new(&builder.scope(name), inputs * width, outputs * width, true))
        };
        let residual = |name: &str, channels: usize| -> Box<dyn Module> {
            let pair = |b: &Builder| {
                let channels = channels * width;
                let first = Sequential::new(b).with(|b| ConvNorm::new(b, channels, channels, false));
                first.with(|b| ConvNorm::new(b, channels, channels, false))
            };
            Box::new(Residual::new(&builder.scope(name), pair))
        };
        let parts: Vec<Box<dyn Module>> = vec![
            Box::new(ConvNorm::new(&builder.scope("block1"), 3, width, false)),
            block("block2", 1, 2),
            residual("residual1", 2),
            block("block3", 2, 4),
            block("block4", 4, 8),
            residual("residual2", 8),
            Box::new(GlobalMaxPool2d),
            Box::new(Linear::new(&builder.scope("fc"), 8 * width, 10)),
        ];
        Self(parts)
    }
}

impl Module for Resnet9 {
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        self.0.iter().try_fold(x.clone(), |x, part| part.forward(&x, mode))
    }
}
