//! Ten training steps of the MLP and the CNN against PyTorch's: each loss, and the parameters at the end.

use wgrad_nn::autograd::device::Family;
use wgrad_nn::autograd::{Gpu, Indices, Tensor};
use wgrad_nn::{Adam, AdamOptions, Mode, Module, Optimizer, Parameters, Sgd, SgdOptions};
use wgrad_testkit::Array;
use wgrad_testkit::compare::assert_close;

use crate::common::{FAMILIES, Fixture, gpu_of};
use crate::models::{Cnn, Mlp};

/// Both sides compute in f32 and differ in the order of their sums.
const LOSS_TOLERANCE: f64 = 1e-4;
const PARAMETER_TOLERANCE: f64 = 1e-5;
/// Of larger parameters the fixture holds every 97th value.
const SAMPLE_STRIDE: usize = 97;

/// Starts `parameters` from the fixture, makes its ten steps, and compares.
fn follow(
    fixture: &Fixture,
    gpu: &Gpu,
    model: &dyn Module,
    parameters: &Parameters,
    sgd: &mut dyn Optimizer,
) {
    let initial = fixture.state_dict(parameters.entries().iter().map(|e| (e.name.as_str(), e.name.as_str())));
    parameters.load_state_dict(&initial, "curve").unwrap();
    let (shape, pixels) = fixture.bytes("pixels");
    let (_, labels) = fixture.bytes("labels");
    let (steps, batch) = (shape[0], shape[1]);
    let mut losses = Vec::new();
    for step in 0..steps {
        let size = pixels.len() / steps;
        let pixels = &pixels[step * size..(step + 1) * size];
        let x: Vec<f32> = pixels.iter().map(|&byte| (f32::from(byte) / 255.0 - 0.5) / 0.5).collect();
        let x = Tensor::from_slice(gpu, &x, &shape[1..]).unwrap();
        let labels: Vec<u32> = labels[step * batch..(step + 1) * batch].iter().map(|&y| y.into()).collect();
        let labels = Indices::from_slice(gpu, &labels).unwrap();
        let loss = model.forward(&x, Mode::Train).unwrap().cross_entropy(&labels, 0.0).unwrap();
        sgd.step(parameters, &loss.backward().unwrap()).unwrap();
        losses.push(loss.item().unwrap());
    }
    assert_eq!(losses.len(), 10);
    assert_close("losses", &losses, &fixture.array("losses"), 0.0, LOSS_TOLERANCE);
    for entry in parameters.entries() {
        let got = entry.tensor.to_vec().unwrap();
        let name = format!("final.{}", entry.name);
        if fixture.has(&name) {
            fixture.assert_close(&name, &entry.tensor, 0.0, PARAMETER_TOLERANCE);
        } else {
            let sample: Vec<f32> = got.iter().copied().step_by(SAMPLE_STRIDE).collect();
            let want: Array = fixture.array(&format!("{name}.sample"));
            assert_close(&name, &sample, &want, 0.0, PARAMETER_TOLERANCE);
        }
        // Far more than the tolerance, so parameters that were never updated cannot pass.
        let (_, before) = fixture.values(&entry.name);
        let moved = got.iter().zip(&before).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(f64::from(moved) > 10.0 * PARAMETER_TOLERANCE, "{name} moved by {moved} only");
    }
}

fn follow_cnn(family: Family) {
    let gpu = gpu_of(family);
    let (model, parameters) = Cnn::new(&gpu, 0);
    let options = SgdOptions { lr: 0.01, momentum: 0.9, ..Default::default() };
    let mut sgd = Sgd::new(&parameters, options).unwrap();
    follow(&Fixture::open("cnn_curve.safetensors"), &gpu, &model, &parameters, &mut sgd);
}

#[test]
fn cnn_with_cpu_kernels() {
    follow_cnn(Family::Cpu);
}

#[test]
fn cnn_with_gpu_kernels() {
    follow_cnn(Family::Gpu);
}

#[test]
fn mlp() {
    for family in FAMILIES {
        let gpu = gpu_of(family);
        let (model, parameters) = Mlp::new(&gpu, 0);
        let mut adam = Adam::new(&parameters, AdamOptions::default()).unwrap();
        follow(&Fixture::open("mlp_curve.safetensors"), &gpu, &model, &parameters, &mut adam);
    }
}
