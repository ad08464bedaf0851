//! Batch norm with its running estimates, pooling of whole images and residual connections.

use safetensors::{Dtype, SafeTensors};
use wgrad_nn::autograd::{BatchNormOptions, Gpu, Tensor};
use wgrad_nn::{
    Activation, BatchNorm2d, Builder, Error, GlobalAvgPool2d, GlobalMaxPool2d, Linear, Mode, Module,
    Parameters, Residual, Sequential, StateDict, build,
};

use crate::common::{FAMILIES, Fixture, bits, gpu, gpu_of, path};
use crate::models;

/// As for the other layers: short sums of values up to 5.
const RTOL: f64 = 1e-5;
const ATOL: f64 = 1e-5;

/// Runs `layer` on the case's input and upstream gradient, and compares output and gradients.
fn check(
    fixture: &Fixture,
    gpu: &Gpu,
    case: &str,
    layer: &dyn Module,
    parameters: Option<&Parameters>,
    mode: Mode,
) {
    let x = fixture.tensor(gpu, &format!("{case}.x")).tracked();
    let y = layer.forward(&x, mode).unwrap();
    fixture.assert_close(&format!("{case}.y"), &y, RTOL, ATOL);
    let gradients = y.backward_from(&fixture.tensor(gpu, &format!("{case}.dy"))).unwrap();
    fixture.assert_close(&format!("{case}.dx"), gradients.get(&x).unwrap(), RTOL, ATOL);
    let Some(parameters) = parameters else { return };
    for entry in parameters.entries() {
        let gradient = gradients.get(&entry.tensor).unwrap();
        // Sums of 189 terms of up to about 4.
        fixture.assert_close(&format!("{case}.d{}", entry.name), gradient, RTOL, 4.0 * ATOL);
    }
    for (name, buffer) in parameters.buffers().iter().map(|entry| (&entry.name, &entry.tensor)) {
        fixture.assert_close(&format!("{case}.{name}"), buffer, 1e-6, 1e-6);
    }
}

#[test]
fn batch_norm_and_its_running_estimates_are_pytorchs() {
    let fixture = Fixture::open("resnet_layers.safetensors");
    for family in FAMILIES {
        let gpu = gpu_of(family);
        let options = BatchNormOptions { eps: 1e-3, momentum: 0.2, ..Default::default() };
        let (norm, parameters) = build(&gpu, 0, |b| BatchNorm2d::new(b, 5, options)).unwrap();
        let names = |entries: &[wgrad_nn::Entry]| entries.iter().map(|e| e.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(parameters.entries()), ["weight", "bias"]);
        assert_eq!(names(parameters.buffers()), ["running_mean", "running_var", "num_batches_tracked"]);
        assert_eq!(parameters.count(), 10, "buffers are not trained");
        let mut state = parameters.state_dict().unwrap();
        assert_eq!(state.tensors["weight"].1, [1.0; 5]);
        assert_eq!(state.tensors["running_var"].1, [1.0; 5]);
        assert_eq!(state.tensors["running_mean"].1, [0.0; 5]);
        let own = fixture.state_dict([("batch_norm2d.weight", "weight"), ("batch_norm2d.bias", "bias")]);
        state.tensors.extend(own.tensors);
        parameters.load_state_dict(&state, "norm").unwrap();

        check(&fixture, &gpu, "batch_norm2d.1", &norm, Some(&parameters), Mode::Train);
        check(&fixture, &gpu, "batch_norm2d.2", &norm, Some(&parameters), Mode::Train);
        check(&fixture, &gpu, "batch_norm2d.eval", &norm, Some(&parameters), Mode::Eval);
    }
}

#[test]
fn whole_images_are_pooled_as_by_pytorch() {
    let fixture = Fixture::open("resnet_layers.safetensors");
    for family in FAMILIES {
        let gpu = gpu_of(family);
        check(&fixture, &gpu, "global_max_pool2d", &GlobalMaxPool2d, None, Mode::Train);
        check(&fixture, &gpu, "global_avg_pool2d", &GlobalAvgPool2d, None, Mode::Train);
        let flat = Tensor::zeros(&gpu, &[3, 4]).unwrap();
        for layer in [&GlobalMaxPool2d as &dyn Module, &GlobalAvgPool2d] {
            let message = layer.forward(&flat, Mode::Eval).unwrap_err().to_string();
            assert!(message.contains("[3, 4]"), "{message}");
        }
    }
}

#[test]
fn a_residual_connection_adds_its_input() {
    let gpu = gpu();
    let inner = |b: &Builder| Sequential::new(b).with(|b| Linear::new(b, 3, 3)).with(|_| Activation::Tanh);
    let make = |b: &Builder| {
        let wrong = Residual::new(&b.scope("wrong"), |b| Linear::new(b, 3, 4));
        (Residual::new(&b.scope("block"), inner), wrong)
    };
    let ((residual, wrong), parameters) = build(&gpu, 0, make).unwrap();
    assert_eq!(parameters.entries()[2].name, "block.0.weight");
    let x = Tensor::from_slice(&gpu, &[1.0, -2.0, 0.5, 3.0, 0.0, -1.0], &[2, 3]).unwrap().tracked();
    let [weight, bias] = ["weight", "bias"].map(|name| parameters.get(&format!("block.0.{name}")).unwrap());
    let want = x.add(&x.linear(weight, Some(bias)).unwrap().tanh().unwrap()).unwrap();
    let got = residual.forward(&x, Mode::Train).unwrap();
    assert_eq!(got.to_vec().unwrap(), want.to_vec().unwrap());
    let gradient = |y: &Tensor| y.sum_all().unwrap().backward().unwrap().take(&x).unwrap().to_vec().unwrap();
    let (got, want) = (gradient(&got), gradient(&want));
    assert_eq!(got, want);
    assert!(got.iter().all(|g| *g != 0.0));
    let error = wrong.forward(&x, Mode::Train).unwrap_err();
    assert!(matches!(error, Error::Layer { .. }) && error.to_string().contains("layer wrong"), "{error}");
}

#[test]
fn running_estimates_travel_through_files_under_pytorchs_names_and_types() {
    let theirs = std::fs::read(path("state_dict_batch_norm.safetensors")).unwrap();
    let state = StateDict::from_bytes(&theirs, "theirs").unwrap();
    assert_eq!(state.tensors["num_batches_tracked"], (vec![], vec![2.0]));
    let gpu = gpu();
    let norm = |seed| build(&gpu, seed, |b| BatchNorm2d::new(b, 3, BatchNormOptions::default())).unwrap().1;
    let parameters = norm(0);
    parameters.load_state_dict(&state, "theirs").unwrap();
    let ours = parameters.state_dict().unwrap().to_bytes().unwrap();
    let [ours, theirs] = [&ours, &theirs].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
    assert_eq!(ours.len(), 5);
    for (name, view) in theirs.tensors() {
        assert_eq!(ours.tensor(&name).unwrap(), view, "{name}");
    }
    assert_eq!(theirs.tensor("num_batches_tracked").unwrap().dtype(), Dtype::I64);

    // A file without the buffers is another model's, and changes nothing.
    let mut less = state.clone();
    less.tensors.remove("running_var");
    less.tensors.insert("weight".to_owned(), (vec![3], vec![7.0; 3]));
    let message = parameters.load_state_dict(&less, "less").unwrap_err().to_string();
    assert!(message.contains("missing: running_var"), "{message}");
    assert_eq!(parameters.state_dict().unwrap().tensors, state.tensors);
}

#[test]
fn a_saved_resnet9_predicts_the_same_to_the_bit() {
    let gpu = gpu();
    let (model, parameters) = models::resnet9(&gpu, 1, 2);
    let x: Vec<f32> = (0..2 * 3 * 32 * 32).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
    let x = Tensor::from_slice(&gpu, &x, &[2, 3, 32, 32]).unwrap();
    for _ in 0..3 {
        model.forward(&x, Mode::Train).unwrap();
    }
    let trained = model.forward(&x, Mode::Eval).unwrap().to_vec().unwrap();
    let bytes = parameters.state_dict().unwrap().to_bytes().unwrap();
    let (other, into) = models::resnet9(&gpu, 2, 2);
    let fresh = other.forward(&x, Mode::Eval).unwrap().to_vec().unwrap();
    into.load_state_dict(&StateDict::from_bytes(&bytes, "saved").unwrap(), "saved").unwrap();
    let loaded = other.forward(&x, Mode::Eval).unwrap().to_vec().unwrap();
    assert_ne!(bits(&fresh), bits(&trained));
    assert_eq!(bits(&loaded), bits(&trained));
}
