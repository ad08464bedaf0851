//! Every layer's output and gradients against PyTorch's, in both families of kernels.

use wgrad_nn::autograd::{BatchNormOptions, Conv2dOptions, Pool2dOptions};
use wgrad_nn::{
    Activation, AvgPool2d, BatchNorm2d, Builder, Conv2d, Dropout, Error, Flatten, GlobalMaxPool2d, Linear,
    MaxPool2d, Mode, Module, Parameters, Residual, build,
};

use crate::common::{FAMILIES, Fixture, gpu, gpu_of};

/// The fixtures are f64 rounded once. Sums here have at most 252 terms of magnitude up to 3, so f32 sums in any
/// order stay within a few units of 1e-6 of them.
const RTOL: f64 = 1e-5;
const ATOL: f64 = 1e-5;

type Make = fn(&Builder) -> Box<dyn Module>;

fn padded(stride: usize, padding: usize, dilation: usize, groups: usize) -> Conv2dOptions {
    Conv2dOptions { stride: [stride; 2], padding: [padding; 2], dilation: [dilation; 2], groups }
}

fn pool(stride: usize, padding: usize) -> Pool2dOptions {
    Pool2dOptions { stride: [stride; 2], padding: [padding; 2], ..Pool2dOptions::square(3) }
}

const CASES: [(&str, Make); 14] = [
    ("linear", |b| Box::new(Linear::new(b, 7, 5))),
    ("conv2d", |b| Box::new(Conv2d::new(b, 3, 4, [3, 3], padded(1, 1, 1, 1)))),
    ("conv2d_strided_dilated", |b| Box::new(Conv2d::new(b, 3, 4, [3, 3], padded(2, 1, 2, 1)))),
    ("conv2d_groups", |b| Box::new(Conv2d::new(b, 4, 6, [3, 3], padded(1, 1, 1, 2)))),
    ("conv2d_rectangular", |b| Box::new(Conv2d::new(b, 3, 4, [2, 5], padded(1, 1, 1, 1)))),
    ("max_pool2d", |_| Box::new(MaxPool2d::new(2))),
    ("max_pool2d_padded", |_| Box::new(MaxPool2d(pool(2, 1)))),
    ("avg_pool2d", |_| Box::new(AvgPool2d::new(2))),
    ("avg_pool2d_padded", |_| Box::new(AvgPool2d(pool(2, 1)))),
    ("flatten", |_| Box::new(Flatten)),
    ("relu", |_| Box::new(Activation::Relu)),
    ("sigmoid", |_| Box::new(Activation::Sigmoid)),
    ("tanh", |_| Box::new(Activation::Tanh)),
    ("gelu", |_| Box::new(Activation::Gelu)),
];

fn load(parameters: &Parameters, fixture: &Fixture, case: &str) {
    let names: Vec<_> =
        parameters.entries().iter().map(|e| (format!("{case}.{}", e.name), e.name.as_str())).collect();
    let state = fixture.state_dict(names.iter().map(|(from, to)| (from.as_str(), *to)));
    parameters.load_state_dict(&state, case).unwrap();
}

#[test]
fn layers_compute_what_pytorch_computes() {
    let fixture = Fixture::open("layers.safetensors");
    for family in FAMILIES {
        let gpu = gpu_of(family);
        for (case, make) in CASES {
            let (layer, parameters) = build(&gpu, 0, make).unwrap();
            let names: Vec<&str> = parameters.entries().iter().map(|entry| entry.name.as_str()).collect();
            let expected: &[&str] =
                if fixture.has(&format!("{case}.weight")) { &["weight", "bias"] } else { &[] };
            assert_eq!(names, expected, "{case}");
            load(&parameters, &fixture, case);

            let x = fixture.tensor(&gpu, &format!("{case}.x")).tracked();
            let y = layer.forward(&x, Mode::Train).unwrap();
            fixture.assert_close(&format!("{case}.y"), &y, RTOL, ATOL);
            let gradients = y.backward_from(&fixture.tensor(&gpu, &format!("{case}.dy"))).unwrap();
            fixture.assert_close(&format!("{case}.dx"), gradients.get(&x).unwrap(), RTOL, ATOL);
            for name in names {
                let gradient = gradients.get(parameters.get(name).unwrap()).unwrap();
                fixture.assert_close(&format!("{case}.d{name}"), gradient, RTOL, ATOL);
            }
        }
    }
}

#[test]
fn layers_without_bias_are_those_with_a_bias_of_zero() {
    let fixture = Fixture::open("layers.safetensors");
    let gpu = gpu();
    let makes: [(&str, Make, Make); 2] = [
        ("linear", |b| Box::new(Linear::without_bias(b, 7, 5)), |b| Box::new(Linear::new(b, 7, 5))),
        (
            "conv2d",
            |b| Box::new(Conv2d::without_bias(b, 3, 4, [3, 3], padded(1, 1, 1, 1))),
            |b| Box::new(Conv2d::new(b, 3, 4, [3, 3], padded(1, 1, 1, 1))),
        ),
    ];
    for (case, without, with) in makes {
        let weight = format!("{case}.weight");
        let x = fixture.tensor(&gpu, &format!("{case}.x"));
        let output = |make: Make, zero_bias: Option<usize>| {
            let (layer, parameters) = build(&gpu, 0, make).unwrap();
            let mut state = fixture.state_dict([(weight.as_str(), "weight")]);
            state.tensors.extend(zero_bias.map(|n| ("bias".to_owned(), (vec![n], vec![0.0; n]))));
            parameters.load_state_dict(&state, case).unwrap();
            layer.forward(&x, Mode::Eval).unwrap().to_vec().unwrap()
        };
        let outputs = fixture.values(&weight).0[0];
        assert_eq!(output(without, None), output(with, Some(outputs)), "{case}");
    }
}

#[test]
fn an_input_that_does_not_fit_names_the_layer_and_the_shapes() {
    let gpu = gpu();
    let make = |b: &Builder| {
        let conv = Conv2d::new(&b.scope("features").scope("conv1"), 3, 4, [3, 3], padded(1, 1, 1, 1));
        let no_groups = Conv2d::new(&b.scope("none"), 3, 4, [3, 3], padded(1, 1, 1, 0));
        (conv, Linear::new(&b.scope("fc"), 7, 5), no_groups)
    };
    let ((conv, fc, no_groups), _) = build(&gpu, 0, make).unwrap();
    let zeros = |shape: &[usize]| wgrad_nn::autograd::Tensor::zeros(&gpu, shape).unwrap();
    let refused = |layer: &dyn Module, shape: &[usize], parts: &[&str]| {
        let error = layer.forward(&zeros(shape), Mode::Eval).unwrap_err();
        assert!(matches!(error, Error::Layer { .. }), "{error:?}");
        let message = error.to_string();
        for part in parts {
            assert!(message.contains(part), "no {part:?} in: {message}");
        }
        assert!(message.lines().count() <= 2, "{message}");
    };
    refused(&conv, &[2, 5, 8, 8], &["layer features.conv1", "conv2d", "[2, 5, 8, 8]", "[4, 3, 3, 3]"]);
    refused(&conv, &[3, 8, 8], &["layer features.conv1", "[3, 8, 8]"]);
    refused(&fc, &[2, 6], &["layer fc", "linear", "[2, 6]", "[5, 7]"]);
    refused(&no_groups, &[2, 3, 8, 8], &["layer none", "groups"]);
    refused(&MaxPool2d::new(9), &[1, 1, 4, 4], &["layer MaxPool2d", "[1, 1, 4, 4]"]);
}

/// The only layer of a model needs no scope, and then no name to be called by but its kind.
#[test]
fn a_layer_on_the_root_builder_is_called_by_its_kind() {
    let gpu = gpu();
    let zeros = |shape: &[usize]| wgrad_nn::autograd::Tensor::zeros(&gpu, shape).unwrap();
    type Make = fn(&Builder) -> Box<dyn Module>;
    let layers: [(&str, Make); 7] = [
        ("Linear", |b| Box::new(Linear::new(b, 7, 5))),
        ("Linear", |b| Box::new(Linear::without_bias(b, 7, 5))),
        ("Conv2d", |b| Box::new(Conv2d::new(b, 3, 4, [3, 3], Conv2dOptions::default()))),
        ("Conv2d", |b| Box::new(Conv2d::without_bias(b, 3, 4, [3, 3], Conv2dOptions::default()))),
        ("BatchNorm2d", |b| Box::new(BatchNorm2d::new(b, 3, BatchNormOptions::default()))),
        ("Residual", |b| Box::new(Residual::new(b, |_| GlobalMaxPool2d))),
        ("Dropout", |b| Box::new(Dropout::new(b, 1.5))),
    ];
    for (kind, make) in layers {
        let (layer, _) = build(&gpu, 0, make).unwrap();
        for mode in [Mode::Train, Mode::Eval] {
            let message = layer.forward(&zeros(&[2, 6, 4, 4]), mode).unwrap_err().to_string();
            assert!(message.starts_with(&format!("layer {kind}: ")), "{message}");
        }
    }
}

#[test]
fn a_forward_pass_while_the_model_is_built_is_an_error() {
    let gpu = gpu();
    let x = wgrad_nn::autograd::Tensor::zeros(&gpu, &[1, 2]).unwrap();
    let early = |b: &Builder| Linear::new(&b.scope("fc"), 2, 1).forward(&x).unwrap_err().to_string();
    let (message, _) = build(&gpu, 0, early).unwrap();
    assert!(message.contains("fc.") && message.contains("nn::build"), "{message}");
}
