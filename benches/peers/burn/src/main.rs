//! burn's side of the benchmarks: one JSON line a measurement, on burn's default wgpu device.
//!
//!     cargo run --release -- [first_step] [cnn_step] [mlp_step] [matmul_512] [matmul_1024] [resnet9_step]
//!
//! The models, batches and optimizers are those of wgrad's benchmarks and of `benches/pytorch/step.py`. Each
//! measurement starts with runs that are not counted, in which burn tunes its kernels; then medians. `first_step` is
//! the time from the process's start to the end of the first CNN step, and needs a process of its own.

#![recursion_limit = "256"]

use std::time::{Duration, Instant};

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::prelude::*;
use burn::tensor::Distribution;
use burn::tensor::activation::relu;

/// Counted runs end here, once there are five.
const BUDGET: Duration = Duration::from_secs(15);
const MOST_RUNS: usize = 40;

fn conv3x3(from: usize, to: usize, bias: bool, device: &Device) -> Conv2d {
    let padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
    Conv2dConfig::new([from, to], [3, 3]).with_padding(padding).with_bias(bias).init(device)
}

fn halve() -> MaxPool2d {
    MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init()
}

trait Model: Module {
    fn forward(&self, x: Tensor<4>) -> Tensor<2>;
}

/// The model of wgrad's example `cifar10`.
#[derive(Module, Debug)]
struct Cnn {
    conv1: Conv2d,
    conv2: Conv2d,
    fc: Linear,
    pool: MaxPool2d,
}

impl Cnn {
    fn new(device: &Device) -> Self {
        Self {
            conv1: conv3x3(3, 64, true, device),
            conv2: conv3x3(64, 128, true, device),
            fc: LinearConfig::new(128 * 8 * 8, 10).init(device),
            pool: halve(),
        }
    }
}

impl Model for Cnn {
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = relu(self.pool.forward(self.conv1.forward(x)));
        let x = relu(self.pool.forward(self.conv2.forward(x)));
        self.fc.forward(x.flatten(1, 3))
    }
}

#[derive(Module, Debug)]
struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    fn new(device: &Device) -> Self {
        let sizes = [784, 256, 128, 10];
        Self { layers: sizes.windows(2).map(|n| LinearConfig::new(n[0], n[1]).init(device)).collect() }
    }
}

impl Model for Mlp {
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let mut x: Tensor<2> = x.flatten(1, 3);
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(if i == 0 { x } else { relu(x) });
        }
        x
    }
}

/// A 3×3 convolution, batch norm and ReLU.
#[derive(Module, Debug)]
struct ConvBn {
    conv: Conv2d,
    norm: BatchNorm,
}

impl ConvBn {
    fn new(from: usize, to: usize, device: &Device) -> Self {
        Self { conv: conv3x3(from, to, false, device), norm: BatchNormConfig::new(to).init(device) }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        relu(self.norm.forward(self.conv.forward(x)))
    }
}

/// The residual net of `cifar10 --model resnet9`.
#[derive(Module, Debug)]
struct ResNet9 {
    blocks: Vec<ConvBn>,
    fc: Linear,
    pool: MaxPool2d,
    global: MaxPool2d,
}

impl ResNet9 {
    fn new(width: usize, device: &Device) -> Self {
        let [w, w2, w4, w8] = [1, 2, 4, 8].map(|n| n * width);
        let pairs = [(3, w), (w, w2), (w2, w2), (w2, w2), (w2, w4), (w4, w8), (w8, w8), (w8, w8)];
        Self {
            blocks: pairs.map(|(from, to)| ConvBn::new(from, to, device)).to_vec(),
            fc: LinearConfig::new(w8, 10).init(device),
            pool: halve(),
            global: MaxPool2dConfig::new([4, 4]).with_strides([4, 4]).init(),
        }
    }
}

impl Model for ResNet9 {
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let run = |i: usize, x: Tensor<4>| self.blocks[i].forward(x);
        let x = self.pool.forward(run(1, run(0, x)));
        let x = x.clone() + run(3, run(2, x));
        let x = self.pool.forward(run(4, x));
        let x = self.pool.forward(run(5, x));
        let x = x.clone() + run(7, run(6, x));
        self.fc.forward(self.global.forward(x).flatten(1, 3))
    }
}

/// A model with what trains it, on one batch of random images.
struct Training<M> {
    model: Option<M>,
    optimizer: ModuleOptimizer,
    loss: CrossEntropyLoss,
    lr: f64,
    x: Tensor<4>,
    labels: Tensor<1, Int>,
}

impl<M: Model> Training<M> {
    fn new(model: M, optimizer: ModuleOptimizer, lr: f64, shape: [usize; 4], device: &Device) -> Self {
        let uniform = Distribution::Uniform(0.0, 1.0);
        let x = Tensor::<4>::random(shape, uniform, &device.clone().without_autodiff());
        let labels: Vec<i32> = (0..shape[0] as i32).map(|i| i % 10).collect();
        Self {
            model: Some(model),
            optimizer,
            loss: CrossEntropyLossConfig::new().init(device),
            lr,
            x: Tensor::from_data(x.into_data(), device),
            labels: Tensor::from_ints(labels.as_slice(), device),
        }
    }

    /// One step. Reading the loss waits for it, and the device is then waited for as well: the update comes after.
    fn step(&mut self, device: &Device) -> f32 {
        let model = self.model.take().expect("put back below");
        let loss = self.loss.forward(model.forward(self.x.clone()), self.labels.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        self.model = Some(self.optimizer.step(self.lr, model, gradients));
        device.sync().expect("the device finishes");
        loss.into_scalar::<f32>()
    }
}

fn median_ms(mut run: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut previous = f64::INFINITY;
    // Tuning goes on for some runs: wait until a run is not much faster than the one before it.
    for _ in 0..20 {
        let at = Instant::now();
        run();
        let ms = at.elapsed().as_secs_f64() * 1e3;
        eprintln!("  warm-up: {ms:.1} ms, {:.1} s since its start", start.elapsed().as_secs_f64());
        if ms > 0.9 * previous {
            break;
        }
        previous = ms;
    }
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < 5 || (times.len() < MOST_RUNS && start.elapsed() < BUDGET) {
        let at = Instant::now();
        run();
        times.push(at.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn report(name: &str, ms: f64) {
    println!("{{\"bench\": \"{name}\", \"median_ms\": {ms:.3}}}");
}

fn matmul(n: usize, device: &Device) -> f64 {
    let device = device.clone().without_autodiff();
    let random = || Tensor::<2>::random([n, n], Distribution::Uniform(0.0, 1.0), &device);
    let (a, b) = (random(), random());
    median_ms(|| {
        let product = a.clone().matmul(b.clone());
        device.sync().expect("the device finishes");
        drop(product);
    })
}

fn sgd() -> ModuleOptimizer {
    let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
    SgdConfig::new().with_momentum(Some(momentum)).init()
}

fn main() {
    let start = Instant::now();
    let names: Vec<String> = std::env::args().skip(1).collect();
    let device = Device::wgpu(DeviceKind::DefaultDevice).autodiff();
    let cnn = || Training::new(Cnn::new(&device), sgd(), 0.01, [64, 3, 32, 32], &device);
    for name in &names {
        eprintln!("{name}");
        let ms = match name.as_str() {
            "first_step" => {
                cnn().step(&device);
                start.elapsed().as_secs_f64() * 1e3
            }
            "cnn_step" => {
                let mut cnn = cnn();
                median_ms(|| {
                    cnn.step(&device);
                })
            }
            "mlp_step" => {
                let adam = AdamConfig::new().with_epsilon(1e-8).init();
                let mut mlp = Training::new(Mlp::new(&device), adam, 1e-3, [64, 1, 28, 28], &device);
                median_ms(|| {
                    mlp.step(&device);
                })
            }
            "matmul_512" => matmul(512, &device),
            "matmul_1024" => matmul(1024, &device),
            "resnet9_step" => {
                let model = ResNet9::new(16, &device);
                let mut net = Training::new(model, sgd(), 0.01, [128, 3, 32, 32], &device);
                median_ms(|| {
                    net.step(&device);
                })
            }
            unknown => {
                eprintln!("burn-peer: no benchmark named {unknown}");
                std::process::exit(2);
            }
        };
        report(name, ms);
    }
}
