//! Two runs of one seed are equal to the last bit, and a repeated step takes nothing new from the device.

use wgrad_nn::autograd::{Conv2dOptions, Gpu, Tensor};
use wgrad_nn::{
    Activation, Builder, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Mode, Optimizer, Parameters,
    Sequential, Sgd, SgdOptions, build,
};
use wgrad_testkit::sample::Sampler;

use crate::common::{bits, flat, gpu};

/// A small CNN on `[batch, 3, 16, 16]` with dropout, so that random draws in training take part.
fn model(gpu: &Gpu, seed: u64) -> (Sequential, Parameters) {
    let same = Conv2dOptions { padding: [1, 1], ..Default::default() };
    let make = |b: &Builder| {
        Sequential::new(b)
            .with(|b| Conv2d::new(b, 3, 20, [3, 3], same))
            .with(|_| Activation::Relu)
            .with(|_| MaxPool2d::new(2))
            .with(|b| Conv2d::new(b, 20, 36, [3, 3], same))
            .with(|_| Activation::Relu)
            .with(|_| MaxPool2d::new(2))
            .with(|_| Flatten)
            .with(|b| Dropout::new(b, 0.5))
            .with(|b| Linear::new(b, 36 * 16, 10))
    };
    build(gpu, seed, make).unwrap()
}

/// Trains for `steps` on random images; `after` sees the device after each step, its loss read.
fn train(gpu: &Gpu, seed: u64, steps: usize, mut after: impl FnMut(usize, f32)) -> Vec<f32> {
    const BATCH: usize = 17;
    let (model, parameters) = model(gpu, seed);
    let options =
        SgdOptions { lr: 0.05, momentum: 0.9, weight_decay: 1e-4, nesterov: true, ..Default::default() };
    let mut sgd = Sgd::new(&parameters, options).unwrap();
    let mut sampler = Sampler::new(5);
    for step in 1..=steps {
        let shape = [BATCH, 3, 16, 16];
        let x = Tensor::from_slice(gpu, &sampler.uniform(&shape, -1.0, 1.0).to_f32(), &shape).unwrap();
        let labels: Vec<i32> = (0..BATCH as i32).map(|i| (i * 7 + step as i32) % 10).collect();
        let labels = Tensor::from_slice(gpu, &labels, &[labels.len()]).unwrap();
        let loss = model.forward(&x, Mode::Train).unwrap().cross_entropy(&labels, 0.1).unwrap();
        sgd.step(&parameters.gradients(&loss).unwrap()).unwrap();
        after(step, loss.item().unwrap());
    }
    flat(&parameters)
}

#[test]
fn two_runs_of_one_seed_give_the_same_bits() {
    let run = |seed| {
        let mut losses = Vec::new();
        let weights = train(&gpu(), seed, 10, |_, loss| losses.push(loss));
        assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
        (bits(&weights), bits(&losses))
    };
    let first = run(7);
    assert_eq!(first, run(7));
    assert_ne!(first.0, run(8).0);
}

#[test]
fn a_repeated_step_takes_no_more_memory_and_makes_no_bind_groups() {
    let gpu = gpu();
    let mut at_step_3 = None;
    train(&gpu, 7, 500, |step, _| {
        let memory = gpu.memory();
        let now = (memory.live, memory.cached, memory.created, gpu.bind_groups_created());
        if step == 3 {
            at_step_3 = Some(now);
        }
        if step >= 3 {
            assert_eq!(Some(now), at_step_3, "step {step}: live, cached, buffers, bind groups");
        }
    });
}
