//! A model whose parameters change between the forward and the backward pass.

use wgrad_nn::autograd::{BatchNormOptions, Error as Op, Gpu, Tensor};
use wgrad_nn::{
    Adam, AdamOptions, BatchNorm2d, Builder, Gradients, Init, Linear, Mode, Optimizer, Parameters, Sgd,
    SgdOptions, build,
};

use crate::common::gpu;

fn sgd(parameters: &Parameters) -> Sgd {
    Sgd::new(parameters, SgdOptions { lr: 0.5, ..Default::default() }).unwrap()
}

/// One parameter `w` of the value 3, and the graph of w².
fn square(gpu: &Gpu) -> (Parameters, Tensor) {
    let make = |b: &Builder| b.scope("net").param("w", &[], Init::Constant(3.0));
    let (_, parameters) = build(gpu, 0, make).unwrap();
    let loss = parameters.get("net.w").unwrap().square().unwrap();
    (parameters, loss)
}

fn w_times(parameters: &Parameters, factor: f32) -> Gradients {
    parameters.gradients(&parameters.get("net.w").unwrap().mul_add_scalar(factor, 0.0).unwrap()).unwrap()
}

#[test]
fn a_graph_over_parameters_that_changed_is_refused_by_name() {
    let gpu = gpu();
    type Change = fn(&Parameters);
    let changes: [(&str, Change); 5] = [
        ("sgd", |p| sgd(p).step(&w_times(p, 2.0)).unwrap()),
        ("adam", |p| Adam::new(p, AdamOptions::default()).unwrap().step(&w_times(p, 2.0)).unwrap()),
        ("load_state_dict", |p| p.load_state_dict(&p.state_dict().unwrap(), "same").unwrap()),
        ("values", |p| p.values().scale(0.5).unwrap()),
        ("write", |p| p.gpu().write(&p.flats()[0].bind(), &[2.0f32]).unwrap()),
    ];
    for (name, change) in changes {
        let (parameters, loss) = square(&gpu);
        change(&parameters);
        let error = loss.backward().unwrap_err();
        assert!(
            matches!(&error, Op::Changed { op: "square", tensor } if tensor == "net.w"),
            "{name}: {error}"
        );
        let message = error.to_string();
        assert!(
            message.starts_with("backward: net.w was changed") && message.lines().count() <= 2,
            "{message}"
        );
        // And right again.
        let w = parameters.get("net.w").unwrap();
        let gradients = w.square().unwrap().backward().unwrap();
        assert_eq!(gradients.get(w).unwrap().item().unwrap(), 2.0 * w.item().unwrap(), "{name}");
    }
    // What has no gradient stays, and so does its graph.
    let (parameters, loss) = square(&gpu);
    sgd(&parameters).step(&Gradients::zeros(&parameters).unwrap()).unwrap();
    assert_eq!(loss.backward().unwrap().get(parameters.get("net.w").unwrap()).unwrap().item().unwrap(), 6.0);
}

/// A generator and a critic from one builder, whose parameters lie in one buffer: stepping one leaves the other's graph
/// whole.
#[test]
fn two_networks_of_one_builder_step_in_turn() {
    let gpu = gpu();
    let make =
        |b: &Builder| (Linear::new(&b.scope("generator"), 2, 3), Linear::new(&b.scope("critic"), 3, 1));
    let ((generator, critic), parameters) = build(&gpu, 1, make).unwrap();
    let mut optimizer = sgd(&parameters);
    let noise = Tensor::from_slice(&gpu, &[1.0, -1.0, 0.5, 2.0], &[2, 2]).unwrap();
    let judged = |x: &Tensor| critic.forward(x).unwrap().tanh().unwrap().mean_all().unwrap();
    for _ in 0..3 {
        let fake = generator.forward(&noise).unwrap().tanh().unwrap();
        let before = judged(&fake);
        optimizer.step(&parameters.gradients(&judged(&fake.detach())).unwrap()).unwrap();
        // The critic has learned: a graph through its old weights is refused, one through the new ones is right.
        let error = before.backward().unwrap_err();
        assert!(matches!(&error, Op::Changed { tensor, .. } if tensor == "critic.weight"), "{error}");
        let fake = generator.forward(&noise).unwrap().tanh().unwrap();
        optimizer.step(&parameters.gradients(&judged(&fake.detach())).unwrap()).unwrap();
        let gradients = parameters.gradients(&judged(&fake)).unwrap();
        assert_eq!(gradients.len(), 4);
    }
}

#[test]
fn gradients_of_several_batches_may_be_added_up() {
    let gpu = gpu();
    let (model, parameters) = build(&gpu, 1, |builder| Linear::new(builder, 2, 1)).unwrap();
    let mut optimizer = sgd(&parameters);
    let x = Tensor::from_slice(&gpu, &[1.0, -1.0], &[1, 2]).unwrap();
    let loss = || model.forward(&x).unwrap().square().unwrap().sum_all().unwrap();
    for _ in 0..3 {
        // Both forward passes come first.
        let (first, second) = (loss(), loss());
        first.backward().unwrap();
        second.backward().unwrap();
        let both = loss().add(&loss()).unwrap();
        optimizer.step(&parameters.gradients(&both).unwrap()).unwrap();
    }
}

/// Two forward passes of one batch norm in training, then both backward passes: each has statistics of its own.
#[test]
fn running_estimates_move_between_two_forward_passes() {
    let gpu = gpu();
    let (norm, parameters) =
        build(&gpu, 1, |builder| BatchNorm2d::new(&builder.scope("bn"), 2, BatchNormOptions::default()))
            .unwrap();
    let x = Tensor::from_slice(&gpu, &[1.0, -1.0, 0.5, 2.0, 3.0, 0.0, 1.0, 4.0], &[2, 2, 1, 2]).unwrap();
    for mode in [Mode::Eval, Mode::Train] {
        let loss = norm.forward(&x, mode).unwrap().square().unwrap().sum_all().unwrap();
        norm.forward(&x, Mode::Train).unwrap();
        loss.backward().unwrap();
        // The weight is read again.
        let loss = norm.forward(&x, mode).unwrap().square().unwrap().sum_all().unwrap();
        parameters.load_state_dict(&parameters.state_dict().unwrap(), "same").unwrap();
        let error = loss.backward().unwrap_err();
        assert!(matches!(&error, Op::Changed { tensor, .. } if tensor == "bn.weight"), "{error}");
    }
}
