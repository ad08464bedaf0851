//! Training steps: the CNN of the cifar10 example with SGD, and an MLP with Adam, batch 64 of random images.
//!
//!     cargo bench -p wgrad-benches --bench step

use criterion::{Criterion, criterion_group, criterion_main};
use wgrad::data::{DeviceImages, Normalize, synthetic};
use wgrad::nn::{
    Activation, Adam, AdamOptions, Builder, Conv2d, Flatten, Linear, MaxPool2d, Mode, Module, Optimizer,
    Parameters, Sequential, Sgd, SgdOptions,
};
use wgrad::{Conv2dOptions, Gpu};

const BATCH: usize = 64;

fn cnn(builder: &Builder) -> Sequential {
    let same = Conv2dOptions { padding: [1, 1], ..Default::default() };
    Sequential::new(builder)
        .with(|b| Conv2d::new(b, 3, 64, [3, 3], same))
        .with(|_| MaxPool2d::new(2))
        .with(|_| Activation::Relu)
        .with(|b| Conv2d::new(b, 64, 128, [3, 3], same))
        .with(|_| MaxPool2d::new(2))
        .with(|_| Activation::Relu)
        .with(|_| Flatten)
        .with(|b| Linear::new(b, 128 * 8 * 8, 10))
}

fn mlp(builder: &Builder) -> Sequential {
    Sequential::new(builder)
        .with(|_| Flatten)
        .with(|b| Linear::new(b, 784, 256))
        .with(|_| Activation::Relu)
        .with(|b| Linear::new(b, 256, 128))
        .with(|_| Activation::Relu)
        .with(|b| Linear::new(b, 128, 10))
}

fn step(images: &DeviceImages, model: &dyn Module, parameters: &Parameters, optimizer: &mut dyn Optimizer) {
    let mut run = || -> Result<(), wgrad::nn::Error> {
        let (x, labels) = images.batch(0, BATCH, Normalize::default())?;
        let loss = model.forward(&x, Mode::Train)?.cross_entropy(&labels, 0.0)?;
        optimizer.step(parameters, &loss.backward()?)?;
        Ok(parameters.gpu().synchronize()?)
    };
    run().expect("the step runs");
}

fn steps(c: &mut Criterion) {
    let gpu = Gpu::new().expect("an adapter");
    let images = synthetic::images(BATCH, 0);
    let grey = images.to_grey_28().expect("32×32 images hold 28×28 ones");
    let mut group = c.benchmark_group("step");
    group.sample_size(20);

    let builder = Builder::new(&gpu, 0);
    let (model, images) = (cnn(&builder), DeviceImages::new(&gpu, &images).expect("images fit"));
    let parameters = builder.finish().expect("parameters fit");
    let options = SgdOptions { lr: 0.01, momentum: 0.9, ..Default::default() };
    let mut sgd = Sgd::new(&parameters, options).expect("options are right");
    group.bench_function("CNN, SGD with momentum, batch 64", |b| {
        b.iter(|| step(&images, &model, &parameters, &mut sgd));
    });

    let builder = Builder::new(&gpu, 0);
    let (model, images) = (mlp(&builder), DeviceImages::new(&gpu, &grey).expect("images fit"));
    let parameters = builder.finish().expect("parameters fit");
    let mut adam = Adam::new(&parameters, AdamOptions::default()).expect("options are right");
    group.bench_function("MLP 784-256-128-10, Adam, batch 64", |b| {
        b.iter(|| step(&images, &model, &parameters, &mut adam));
    });
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
