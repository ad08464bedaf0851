//! A profiled run ends with the same weights, to the bit, as one that is not.
#![allow(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

use wgrad_autograd::{Conv2dOptions, Gpu};
use wgrad_data::{DeviceImages, synthetic};
use wgrad_nn::{Activation, Builder, Conv2d, Flatten, Linear, MaxPool2d, Sequential, Sgd, SgdOptions, build};
use wgrad_train::{Interrupt, Options, Task, fit};

/// The weights after six steps of a small convolutional net, and the launches of the profile.
fn weights(profiled: bool) -> (Vec<u32>, usize) {
    let gpu = Gpu::builder().quiet().build().unwrap();
    let images = DeviceImages::new(&gpu, &synthetic::images(40, 3)).unwrap();
    let same = Conv2dOptions { padding: [1, 1], ..Default::default() };
    let make = |b: &Builder| {
        Sequential::new(b)
            .with(|b| Conv2d::new(b, 3, 8, [3, 3], same))
            .with(|_| MaxPool2d::new(2))
            .with(|_| Activation::Relu)
            .with(|b| Conv2d::new(b, 8, 8, [3, 3], same))
            .with(|_| Flatten)
            .with(|b| Linear::new(b, 8 * 16 * 16, 10))
    };
    let (model, parameters) = build(&gpu, 0, make).unwrap();
    let options = SgdOptions { lr: 0.05, momentum: 0.9, ..Default::default() };
    let mut optimizer = Sgd::new(&parameters, options).unwrap();
    if profiled {
        gpu.start_profile().unwrap();
    }
    let options = Options { epochs: 2, batch_size: 16, progress: false, ..Default::default() };
    let task = Task {
        model: &model,
        parameters: &parameters,
        optimizer: &mut optimizer,
        train: &images,
        test: &images,
    };
    assert_eq!(fit(task, &options, &Interrupt::default()).unwrap().steps, 6);
    let launches = gpu.take_profile().unwrap().launches.len();
    let weights = parameters.flats()[0].to_vec().unwrap();
    (weights.into_iter().map(f32::to_bits).collect(), launches)
}

#[test]
fn a_profile_changes_no_weight() {
    let (without, none) = weights(false);
    let (with, launches) = weights(true);
    assert_eq!(none, 0);
    assert!(launches > 6 * 20, "{launches} launches in six steps");
    assert!(with == without, "a profiled run gave other weights");
}
