//! The models of the curves, with the sizes of the fixtures.

use wgrad_nn::autograd::Gpu;
use wgrad_nn::models::{Cnn, CnnOptions, Mlp, MlpOptions, Resnet9, Resnet9Options};
use wgrad_nn::{Parameters, build};

/// The model of the example cifar10.
pub fn cnn(gpu: &Gpu, seed: u64) -> (Cnn, Parameters) {
    build(gpu, seed, |b| Cnn::new(b, &CnnOptions::default())).unwrap()
}

/// The model of the example mlp.
pub fn mlp(gpu: &Gpu, seed: u64) -> (Mlp, Parameters) {
    build(gpu, seed, |b| Mlp::new(b, &MlpOptions::default())).unwrap()
}

/// The model that the example cifar10 trains with `--model resnet9`.
pub fn resnet9(gpu: &Gpu, seed: u64, width: usize) -> (Resnet9, Parameters) {
    build(gpu, seed, |b| Resnet9::new(b, Resnet9Options { width, ..Default::default() })).unwrap()
}
