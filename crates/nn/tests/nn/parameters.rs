//! Names, initialisation and random draws.

use wgrad_nn::autograd::{Conv2dOptions, Tensor};
use wgrad_nn::{
    Activation, Adam, AdamOptions, Builder, Conv2d, Dropout, Error, Flatten, Gradients, Init, Linear,
    MaxPool2d, Mode, Optimizer, Parameters, Sequential, Sgd, SgdOptions, build,
};

use crate::common::{bits, gpu};
use crate::models;

fn names(parameters: &Parameters) -> Vec<&str> {
    parameters.entries().iter().map(|entry| entry.name.as_str()).collect()
}

#[test]
fn sequential_names_parameters_by_position() {
    let gpu = gpu();
    let conv = |b: &Builder| Conv2d::new(b, 1, 2, [3, 3], Conv2dOptions::default());
    let make = |b: &Builder| {
        Sequential::new(b)
            .with(conv)
            .with(|_| Activation::Relu)
            .with(|_| MaxPool2d::new(2))
            .with(|_| Flatten)
            .with(|b| {
                Sequential::new(b).with(|b| Linear::new(b, 8, 5)).with(|b| Linear::without_bias(b, 5, 3))
            })
    };
    let (model, parameters) = build(&gpu, 0, make).unwrap();
    let expected = ["0.weight", "0.bias", "4.0.weight", "4.0.bias", "4.1.weight"];
    assert_eq!(names(&parameters), expected);
    assert_eq!(parameters.count(), 18 + 2 + 40 + 5 + 15);
    let y = model.forward(&Tensor::full(&gpu, &[2, 1, 6, 6], 1.0).unwrap(), Mode::Eval).unwrap();
    assert_eq!(y.shape(), [2, 3]);
}

#[test]
fn parameters_lie_in_one_buffer_each_at_a_bindable_place() {
    let gpu = gpu();
    let (_, parameters) = models::cnn(&gpu, 0);
    let expected = ["conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "fc.weight", "fc.bias"];
    assert_eq!(names(&parameters), expected);
    assert_eq!(parameters.count(), 157_578);
    let flat = parameters.flats()[0].bind();
    for entry in parameters.entries() {
        let view = entry.tensor.bind();
        assert_eq!(view.buffer.id(), flat.buffer.id(), "{}", entry.name);
        assert_eq!(view.offset, entry.offset as u64 * 4, "{}", entry.name);
        assert_eq!(view.offset % 256, 0, "{}", entry.name);
    }
}

#[test]
fn two_parameters_of_one_name_are_refused() {
    let gpu = gpu();
    let make = |b: &Builder| {
        Linear::new(&b.scope("fc"), 2, 2);
        Linear::new(&b.scope("head"), 2, 2);
        Linear::new(&b.scope("fc"), 3, 2);
    };
    let error = build(&gpu, 0, make).unwrap_err();
    let Error::Duplicate { name } = &error else { panic!("{error:?}") };
    assert!(name.starts_with("fc."), "{error}");
}

#[test]
fn a_model_without_parameters_can_be_finished() {
    let gpu = gpu();
    let ((), parameters) = build(&gpu, 0, |_| ()).unwrap();
    assert_eq!((parameters.count(), parameters.entries().len()), (0, 0));
    assert!(parameters.state_dict().unwrap().tensors.is_empty());
}

/// Panics unless `values` are as uniform between ±bound as that many independent draws are.
fn assert_uniform(name: &str, values: &[f32], bound: f64) {
    let n = values.len() as f64;
    let values = || values.iter().map(|&x| f64::from(x));
    let largest = values().map(f64::abs).fold(0.0, f64::max);
    assert!(largest <= bound * (1.0 + 1e-6), "{name}: {largest} is over {bound}");
    // All n values miss the outer part with a chance of e^-20.
    assert!(largest > bound * (1.0 - 20.0 / n), "{name}: {largest} stays far below {bound}");
    // Five standard deviations of the mean, and of the mean square: b²/3 with variance 4b⁴/45 a value.
    let mean = values().sum::<f64>() / n;
    assert!(mean.abs() < 5.0 * bound / (3.0 * n).sqrt(), "{name}: mean {mean}");
    let variance = values().map(|x| x * x).sum::<f64>() / n / (bound * bound);
    assert!((variance - 1.0 / 3.0).abs() < 5.0 * (4.0 / 45.0 / n).sqrt(), "{name}: {variance} bound²");
}

#[test]
fn the_default_initialisation_is_uniform_within_one_over_root_fan_in() {
    let gpu = gpu();
    let make = |b: &Builder| {
        Linear::new(&b.scope("fc"), 300, 200);
        Conv2d::new(&b.scope("conv"), 32, 128, [3, 5], Conv2dOptions::default());
        let groups = Conv2dOptions { groups: 4, ..Default::default() };
        Conv2d::new(&b.scope("grouped"), 32, 128, [3, 3], groups);
    };
    let state = build(&gpu, 1, make).unwrap().1.state_dict().unwrap();
    // A group's outputs see only the group's inputs.
    for (layer, fan_in) in [("fc", 300.0), ("conv", 32.0 * 15.0), ("grouped", 8.0 * 9.0)] {
        for part in ["weight", "bias"] {
            let name = format!("{layer}.{part}");
            assert_uniform(&name, &state.tensors[&name].1, 1.0 / f64::sqrt(fan_in));
        }
    }
}

#[test]
fn weights_are_a_function_of_the_seed() {
    let weights = |seed| models::cnn(&gpu(), seed).1.state_dict().unwrap();
    let of_seven = weights(7);
    assert_eq!(of_seven, weights(7));
    // Seeds that agree in their lower half differ too.
    for other in [8, 7 + (1 << 32)] {
        let of_other = weights(other);
        for (name, (_, values)) in &of_seven.tensors {
            let same = values.iter().zip(&of_other.tensors[name].1).filter(|(a, b)| a == b).count();
            assert!(same * 10 <= values.len(), "{name}: {same} values are those of another seed");
        }
    }
}

#[test]
fn weights_do_not_depend_on_the_order_of_declaration() {
    let gpu = gpu();
    let layer = |b: &Builder, name: &str| drop(Linear::new(&b.scope(name), 20, 10));
    let one = build(&gpu, 5, |b| ["a", "b", "c"].map(|name| layer(b, name))).unwrap().1.state_dict().unwrap();
    let other = build(&gpu, 5, |b| ["c", "a"].map(|name| layer(b, name))).unwrap().1.state_dict().unwrap();
    assert_eq!(other.tensors.len(), 4);
    for (name, values) in &other.tensors {
        assert_eq!(&one.tensors[name], values, "{name}");
    }
    assert_ne!(one.tensors["a.weight"], one.tensors["b.weight"]);
}

#[test]
fn constants_fill() {
    let gpu = gpu();
    let make = |b: &Builder| {
        b.param("scale", &[3], Init::Constant(1.5));
        b.param("shift", &[], Init::Constant(-0.0));
    };
    let state = build(&gpu, 0, make).unwrap().1.state_dict().unwrap();
    assert_eq!(state.tensors["scale"], (vec![3], vec![1.5; 3]));
    assert_eq!(state.tensors["shift"], (vec![], vec![0.0]));
}

#[test]
fn dropout_drops_in_training_only() {
    let gpu = gpu();
    let n = 20_000;
    let make = |seed| build(&gpu, seed, |b| Dropout::new(b, 0.25)).unwrap();
    let (dropout, parameters) = make(3);
    let x = Tensor::full(&gpu, &[n], 3.0).unwrap().tracked();
    assert_eq!(dropout.forward(&x, Mode::Eval).unwrap().to_vec().unwrap(), vec![3.0; n]);
    assert_eq!(parameters.draws(), 0);

    let y = dropout.forward(&x, Mode::Train).unwrap();
    let first = y.to_vec().unwrap();
    assert!(first.iter().all(|&y| y == 0.0 || (y - 4.0).abs() < 1e-6), "kept values are x / (1 - rate)");
    let dropped = first.iter().filter(|&&y| y == 0.0).count() as f64 / n as f64;
    // Five standard deviations.
    assert!((dropped - 0.25).abs() < 5.0 * f64::sqrt(0.25 * 0.75 / n as f64), "{dropped}");
    // The gradient goes where the value went.
    let dy = y.sum_all().unwrap().backward().unwrap().get(&x).unwrap().to_vec().unwrap();
    assert_eq!(dy.iter().map(|d| d * 3.0).collect::<Vec<_>>(), first);

    let second = dropout.forward(&x, Mode::Train).unwrap().to_vec().unwrap();
    let both = first.iter().zip(&second).filter(|(a, b)| **a == 0.0 && **b == 0.0).count() as f64;
    assert!((both / n as f64 - 0.0625).abs() < 0.01, "draws are independent: {both} dropped twice");
    assert_eq!(parameters.draws(), 2);

    parameters.set_draws(0);
    let again = dropout.forward(&x, Mode::Train).unwrap().to_vec().unwrap();
    assert_eq!(bits(&again), bits(&first));
    let other = make(4).0.forward(&x, Mode::Train).unwrap().to_vec().unwrap();
    assert_ne!(bits(&other), bits(&first));
}

#[test]
fn a_model_beyond_the_limits_is_refused_before_its_memory_is_taken() {
    let gpu = gpu();
    for [inputs, outputs] in [[1_000_000, 1_000_000], [1 << 40, 1 << 40]] {
        let error = build(&gpu, 0, |b| Linear::new(&b.scope("fc"), inputs, outputs)).err().unwrap();
        assert!(matches!(error, Error::ModelTooLarge { .. }), "{error}");
    }
}

#[test]
fn an_optimizer_of_other_parameters_is_refused() {
    let gpu = gpu();
    let made = |outputs| build(&gpu, 0, |b| Linear::new(&b.scope("fc"), 3, outputs)).unwrap();
    let ((_, small), (layer, large)) = (made(2), made(200));
    let mut sgd = Sgd::new(&small, SgdOptions::default()).unwrap();
    let x = Tensor::full(&gpu, &[1, 3], 1.0).unwrap();
    let loss = layer.forward(&x).unwrap().mean_all().unwrap();
    let error = sgd.step(&large.gradients(&loss).unwrap()).unwrap_err().to_string();
    assert!(error.contains("other parameters"), "{error}");
}

#[test]
fn an_optimizer_of_an_equally_large_model_is_refused() {
    let gpu = gpu();
    let made = || build(&gpu, 0, |b| Linear::new(&b.scope("fc"), 3, 2)).unwrap();
    let ((_, one), (layer, other)) = (made(), made());
    let x = Tensor::full(&gpu, &[1, 3], 1.0).unwrap();
    let optimizers: [Box<dyn Optimizer>; 2] = [
        Box::new(Sgd::new(&one, SgdOptions { lr: 0.1, momentum: 0.9, ..Default::default() }).unwrap()),
        Box::new(Adam::new(&one, AdamOptions::default()).unwrap()),
    ];
    for mut optimizer in optimizers {
        let before = other.state_dict().unwrap();
        let loss = layer.forward(&x).unwrap().mean_all().unwrap();
        let error = optimizer.step(&other.gradients(&loss).unwrap()).unwrap_err();
        assert!(matches!(error, Error::Options { what: "optimizer", .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains("other parameters") && message.contains("new()"), "{message}");
        assert_eq!((other.state_dict().unwrap(), optimizer.steps()), (before, 0));
        // Its own it still steps.
        optimizer.step(&Gradients::zeros(&one).unwrap()).unwrap();
    }
}

#[test]
fn values_laid_out_like_another_model_are_refused() {
    let gpu = gpu();
    let made = |outputs| build(&gpu, 0, |b| Linear::new(&b.scope("fc"), 3, outputs)).unwrap().1;
    let (small, large) = (made(2), made(200));
    let mut values = large.values();
    for error in [
        values.add(&small.values()).unwrap_err(),
        values.lerp(&made(200).values(), 0.5).unwrap_err(),
        values.assign(&small.values()).unwrap_err(),
        values.set("fc.weight", small.get("fc.weight").unwrap()).unwrap_err(),
        values.set("fc.wieght", small.get("fc.weight").unwrap()).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Options { what: "gradients", .. }), "{error}");
    }
}

#[test]
fn bounds_that_are_no_numbers_are_refused_by_name() {
    for bound in [f32::NAN, f32::INFINITY, -0.5] {
        let make = |b: &Builder| {
            b.scope("good").param("w", &[3], Init::Uniform { bound: 0.0 });
            b.scope("fc").param("w", &[3], Init::Uniform { bound });
        };
        let error = build(&gpu(), 0, make).unwrap_err();
        assert!(matches!(error, Error::Options { .. }) && error.to_string().contains("fc.w"), "{error}");
    }
}
