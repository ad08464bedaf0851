//! Training in slices: the same weights to the bit as in whole steps, on a device of one's own or of an application.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use wgrad_autograd::device::{Family, Slice, wgpu};
use wgrad_autograd::{BatchNormOptions, Conv2dOptions, Gpu, Tensor};
use wgrad_data::{Augment, DeviceImages, Draw, Normalize, synthetic};
use wgrad_nn::{
    Activation, Adam, AdamOptions, BatchNorm2d, Builder, Conv2d, Dropout, Linear, MaxPool2d, Mode, Optimizer,
    Parameters, build,
};
use wgrad_train::{Error, Result, StepLoss, Stepper};

#[path = "../../../device/tests/helpers.rs"]
mod common;
use common::borrowed;

const SAME: Conv2dOptions = Conv2dOptions { stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 };
const STEPS: u64 = 4;

/// A net with batch norm and dropout on augmented images, so that everything that could depend on the order of
/// launches is there.
struct Training {
    conv1: Conv2d,
    norm: BatchNorm2d,
    conv2: Conv2d,
    fc: Linear,
    dropout: Dropout,
    parameters: Parameters,
    adam: Adam,
    images: DeviceImages,
    step: usize,
}

impl Training {
    fn new(gpu: &Gpu) -> Result<Self> {
        let options = BatchNormOptions { relu: true, max_pool: true, ..Default::default() };
        let make = |builder: &Builder| {
            let conv1 = Conv2d::new(&builder.scope("conv1"), 3, 8, [3, 3], SAME);
            let norm = BatchNorm2d::new(&builder.scope("norm"), 8, options);
            let conv2 = Conv2d::new(&builder.scope("conv2"), 8, 16, [3, 3], SAME);
            let fc = Linear::new(&builder.scope("fc"), 16 * 8 * 8, 10);
            let dropout = Dropout::new(&builder.scope("dropout"), 0.3);
            (conv1, norm, conv2, fc, dropout)
        };
        let ((conv1, norm, conv2, fc, dropout), parameters) = build(gpu, 7, make)?;
        let adam = Adam::new(&parameters, AdamOptions::default())?;
        let images = DeviceImages::new(gpu, &synthetic::split(40, 10, 1).train)?;
        Ok(Self { conv1, norm, conv2, fc, dropout, parameters, adam, images, step: 0 })
    }

    fn batch(&self) -> Result<(Tensor, Tensor)> {
        let draw = Draw { seed: 1, epoch: 0 };
        let augmented =
            self.images.batch_augmented(9 * self.step, 9, Normalize::default(), Augment::default(), draw);
        Ok(augmented?)
    }

    /// Records one step and gives its loss.
    fn record(&mut self) -> Result<Tensor> {
        let (x, labels) = self.batch()?;
        let x = self.norm.forward(&self.conv1.forward(&x)?, Mode::Train)?;
        let x = MaxPool2d::new(2).forward(&self.conv2.forward(&x)?)?;
        let x = Activation::Relu.apply(&x)?;
        let x = self.dropout.forward(&x.flatten(1)?, Mode::Train)?;
        let loss = self.fc.forward(&x)?.cross_entropy(&labels, 0.1)?;
        self.adam.step(&self.parameters.gradients(&loss)?)?;
        self.step += 1;
        Ok(loss)
    }

    /// All weights, running estimates and moments.
    fn state(&self) -> Result<Vec<u32>> {
        let mut tensors: Vec<Tensor> = self.parameters.flats().to_vec();
        tensors.extend(self.parameters.buffers().iter().map(|entry| entry.tensor.clone()));
        tensors.extend(self.adam.state().iter().flat_map(|(_, values)| values.flats().to_vec()));
        let mut bits = Vec::new();
        for tensor in tensors {
            bits.extend(tensor.to_vec()?.iter().map(|value| value.to_bits()));
        }
        Ok(bits)
    }
}

/// The losses and the state after whole steps.
fn whole(gpu: &Gpu) -> Result<(Vec<u32>, Vec<u32>)> {
    let mut training = Training::new(gpu)?;
    let mut losses = Vec::new();
    for _ in 0..STEPS {
        let loss = training.record()?;
        losses.push(loss.item()?.to_bits());
    }
    Ok((losses, training.state()?))
}

/// The same in slices, each submitted by `frame` as an application would, which polls on its own behalf.
fn sliced(
    gpu: &Gpu,
    mut frame: impl FnMut(&mut Stepper, &mut dyn FnMut() -> Result<Tensor>) -> Result<Slice>,
) -> Result<(Vec<u32>, Vec<u32>)> {
    let mut training = Training::new(gpu)?;
    let mut stepper = Stepper::new(gpu);
    stepper.set_max_steps(Some(STEPS));
    let mut losses: Vec<StepLoss> = Vec::new();
    let mut slices = 0;
    while losses.len() < STEPS as usize {
        let slice = frame(&mut stepper, &mut || training.record())?;
        slices += usize::from(slice.launches > 0);
        gpu.device().poll(wgpu::PollType::Poll).unwrap();
        losses.extend(stepper.losses()?);
    }
    assert!(slices as u64 > STEPS, "{slices} slices: no step was cut");
    let order: Vec<u64> = losses.iter().map(|arrived| arrived.step).collect();
    assert_eq!(order, (1..=STEPS).collect::<Vec<_>>());
    Ok((losses.iter().map(|arrived| arrived.loss.to_bits()).collect(), training.state()?))
}

#[test]
fn weights_after_sliced_steps_are_those_of_whole_steps() -> Result<()> {
    for family in [Family::Cpu, Family::Gpu] {
        let gpu = || Gpu::builder().family(family).poison().quiet().build();
        let want = whole(&gpu()?)?;
        for budget in [Duration::from_micros(1), Duration::from_millis(1)] {
            let got = sliced(&gpu()?, |stepper, record| stepper.advance(budget, record))?;
            assert!(got == want, "{family:?}, slices of {budget:?}");
        }
    }
    Ok(())
}

#[test]
fn a_borrowed_device_trains_in_slices_without_features() -> Result<()> {
    let want = whole(&borrowed())?;
    let gpu = borrowed();
    let got = sliced(&gpu, |stepper, record| stepper.advance(Duration::from_micros(500), record))?;
    assert!(got == want);
    Ok(())
}

#[test]
fn an_applications_encoder_trains_too() -> Result<()> {
    let want = whole(&borrowed())?;
    let gpu = borrowed();
    let got = sliced(&gpu, |stepper, record| {
        let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let slice = stepper.encode_into(&mut encoder, Duration::from_micros(500), record)?;
        gpu.queue().submit([encoder.finish()]);
        Ok(slice)
    })?;
    assert!(got == want);
    Ok(())
}

#[test]
fn what_the_recording_of_a_step_returns_is_passed_on() -> Result<()> {
    let gpu = Gpu::builder().quiet().build()?;
    let mut stepper = Stepper::new(&gpu);
    let failed =
        stepper.advance(Duration::from_millis(1), || Err::<Tensor, _>(Error::Usage("no data".to_owned())));
    assert_eq!(failed.unwrap_err().to_string(), "no data");
    assert_eq!(stepper.steps(), 0);
    Ok(())
}

#[test]
fn a_step_whose_encoder_is_dropped_costs_its_own_loss_only() -> Result<()> {
    let gpu = borrowed();
    let mut training = Training::new(&gpu)?;
    gpu.submit()?;
    let mut stepper = Stepper::new(&gpu);
    let second = Duration::from_secs(1);
    stepper.set_max_steps(Some(1));
    let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    while !gpu.pending_commands().is_empty() || stepper.steps() == 0 {
        stepper.encode_into(&mut encoder, second, || training.record())?;
    }
    drop(encoder);
    assert!(stepper.losses().is_err(), "the loss of step 1 is lost");
    stepper.set_max_steps(Some(2));
    let mut losses = Vec::new();
    while losses.is_empty() {
        stepper.advance(second, || training.record())?;
        gpu.device().poll(wgpu::PollType::wait_indefinitely()).unwrap();
        losses = stepper.losses()?;
    }
    assert_eq!(losses.iter().map(|arrived| arrived.step).collect::<Vec<_>>(), [2]);
    Ok(())
}
