//! Gradients that nobody asked for are not computed: those of frozen parameters and of other models.

use wgrad_nn::autograd::Tensor;
use wgrad_nn::{Builder, Error, Linear, Optimizer, Sgd, SgdOptions, build};

use crate::common::{bits, gpu};
use crate::gradients::{launches, names_of, values_of};

#[test]
fn what_is_frozen_has_no_gradient_computed_and_does_not_move() {
    let gpu = gpu();
    let make = |b: &Builder| (Linear::new(&b.scope("trunk"), 6, 9), Linear::new(&b.scope("fc"), 9, 2));
    let ((trunk, fc), parameters) = build(&gpu, 3, make).unwrap();
    let x = Tensor::full(&gpu, &[3, 6], 0.5).unwrap();
    let loss = || fc.forward(&trunk.forward(&x).unwrap()).unwrap().square().unwrap().mean_all().unwrap();
    let backward = || {
        let loss = loss();
        launches(&gpu, || parameters.gradients(&loss).unwrap())
    };
    let (all, of_all) = backward();
    assert_eq!(all.len(), 4);
    parameters.freeze("trunk.*").unwrap();
    let (some, of_some) = backward();
    assert_eq!(names_of(&some), ["fc.weight", "fc.bias"]);
    assert_eq!(values_of(&some), values_of(&all)[2..]);
    let products = |names: &[String]| names.iter().filter(|name| name.contains("gemm")).count();
    assert_eq!((products(&of_all), products(&of_some)), (3, 1), "{of_all:?} {of_some:?}");

    // Even gradients from before leave it alone.
    let mut sgd = Sgd::new(&parameters, SgdOptions { lr: 0.1, ..Default::default() }).unwrap();
    let before = parameters.state_dict().unwrap();
    sgd.step(&all).unwrap();
    let after = parameters.state_dict().unwrap();
    for (name, (_, values)) in &before.tensors {
        let moved = bits(&after.tensors[name].1) != bits(values);
        assert_eq!(moved, name.starts_with("fc."), "{name}");
    }
    assert_eq!(["trunk.bias", "fc.bias"].map(|name| sgd.state().steps_of(name)), [Some(0), Some(1)]);

    parameters.unfreeze("*.weight").unwrap();
    assert_eq!(names_of(&backward().0), ["trunk.weight", "fc.weight", "fc.bias"]);
    parameters.freeze("*").unwrap();
    let error = parameters.gradients(&loss()).unwrap_err();
    assert!(matches!(error, Error::Op(wgrad_nn::autograd::Error::NotTracked)), "{error}");
    let error = parameters.freeze("trunck.*").unwrap_err().to_string();
    assert!(error.contains("trunck.*") && error.contains("trunk.weight"), "{error}");
}

#[test]
fn only_the_ways_to_the_parameters_asked_for_are_walked() {
    let gpu = gpu();
    let (generator, own) = build(&gpu, 1, |b| Linear::new(b, 2, 3)).unwrap();
    let (critic, others) = build(&gpu, 2, |b| Linear::new(b, 3, 1)).unwrap();
    let noise = Tensor::full(&gpu, &[4, 2], 0.5).unwrap();
    let loss = || critic.forward(&generator.forward(&noise).unwrap()).unwrap().mean_all().unwrap();
    let (of_both, loss) = (loss().backward().unwrap().len(), loss());
    let (gradients, names) = launches(&gpu, || own.gradients(&loss).unwrap());
    assert_eq!((of_both, gradients.len()), (4, 2));
    // The critic's input gradient and the generator's weight gradient, and not the critic's weight gradient.
    assert_eq!(names.iter().filter(|name| name.contains("gemm")).count(), 2, "{names:?}");
    let error = Sgd::new(&others, SgdOptions::default()).unwrap().step(&gradients).unwrap_err();
    assert!(matches!(error, Error::Options { what: "optimizer", .. }), "{error}");
}
