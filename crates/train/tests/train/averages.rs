//! Averages of weights: their values, what is validated by them, and that training goes on from the raw ones.

use std::rc::Rc;

use wgrad_nn::StateDict;
use wgrad_train::{Ema, Swa, evaluate};

use crate::support::{Accuracy, Setup, Told, Watch, rows, values};

/// Asserts that both have the same parameters within rounding.
#[track_caller]
fn assert_close(found: &StateDict, expected: &StateDict, names: &[&str]) {
    for name in names {
        for (a, b) in found.tensors[*name].1.iter().zip(&expected.tensors[*name].1) {
            assert!((a - b).abs() < 1e-5, "{name}: {a} {b}");
        }
    }
}

/// `a` of one and `1 - a` of the other.
fn mix(a: f64, first: &StateDict, second: &StateDict) -> StateDict {
    let mut mixed = first.clone();
    for (name, (_, values)) in &mut mixed.tensors {
        for (x, y) in values.iter_mut().zip(&second.tensors[name].1) {
            *x = (a * f64::from(*x) + (1.0 - a) * f64::from(*y)) as f32;
        }
    }
    mixed
}

const PARAMETERS: [&str; 6] = ["0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias"];
const BUFFERS: [&str; 2] = ["0.running_mean", "0.running_var"];

#[test]
fn a_moving_average_is_validated_and_kept_while_training_goes_on_from_the_raw_weights() {
    let setup = Setup::new();
    let (train, valid) = (rows(&setup.gpu, 22), rows(&setup.gpu, 7));
    let watch = Watch::new(|_| {});
    let (steps, validations) = (Rc::clone(&watch.steps), Rc::clone(&watch.validations));
    let first = setup.state();
    let history = setup
        .trainer(setup.adam())
        .batch_size(5)
        .epochs(2)
        .average(Ema::new(0.8))
        .validate(&valid)
        .metric(Accuracy)
        .callback(watch)
        .fit(&train, |batch, mode| setup.loss(batch, mode))
        .unwrap();
    let steps = steps.borrow();
    let average = |count: usize| steps[..count].iter().fold(first.clone(), |sum, step| mix(0.8, &sum, step));
    for (i, validated) in validations.borrow().iter().enumerate() {
        let made = 5 * (i + 1);
        assert_close(validated, &average(made), &PARAMETERS);
        // Buffers are the model's at that time.
        assert_close(validated, &steps[made - 1], &BUFFERS);
        assert_ne!(validated.tensors["2.weight"], steps[made - 1].tensors["2.weight"]);
    }
    // At the end the model has what was validated last.
    assert_eq!(setup.state(), validations.borrow()[1]);
    let found = evaluate(&valid, 5, &[], |batch, mode| setup.loss(batch, mode)).unwrap();
    assert_eq!(Some(found[0].1), history.last("val_loss"));
    // Batch norm has counted ten batches, and is not averaged.
    assert_eq!(setup.state().tensors["0.num_batches_tracked"].1, [10.0]);

    // The raw weights are those of a run without an average.
    let without = Setup::new();
    let (train, valid) = (rows(&without.gpu, 22), rows(&without.gpu, 7));
    let mut trainer = without.trainer(without.adam()).batch_size(5).epochs(2).validate(&valid);
    trainer.fit(&train, |batch, mode| without.loss(batch, mode)).unwrap();
    assert_eq!(without.state(), steps[9]);
}

#[test]
fn raw_weights_are_back_after_a_validation_that_failed() {
    for ema in [true, false] {
        let setup = Setup::new();
        let (train, valid) = (rows(&setup.gpu, 22), rows(&setup.gpu, 7));
        let watch = Watch::new(|_| {});
        let steps = Rc::clone(&watch.steps);
        // Nothing left to tell in the second epoch.
        let trainer = setup.trainer(setup.adam()).batch_size(5).epochs(3).validate(&valid);
        let trainer = trainer.metric(Told::new(&[0.5], true)).callback(watch);
        let mut trainer =
            if ema { trainer.average(Ema::new(0.8)) } else { trainer.average(Swa::from_epoch(1)) };
        let error = trainer.fit(&train, |batch, mode| setup.loss(batch, mode)).unwrap_err();
        assert!(error.to_string().contains("nothing left to tell"), "{error}");
        assert_eq!(setup.state(), steps.borrow()[9]);
    }
}

/// Mean of the data, and the mean over rows of the batches' unbiased variances, in batches of 5.
fn statistics(n: usize) -> (f64, f64) {
    let (x, _) = values(n);
    let x: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let variance = |x: &[f64]| {
        let mean = mean(x);
        x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (x.len() - 1) as f64
    };
    let variances = x.chunks(20).map(|batch| variance(batch) * batch.len() as f64);
    (mean(&x), variances.sum::<f64>() / x.len() as f64)
}

#[test]
fn an_equal_average_over_epochs_has_running_values_of_its_own() {
    let setup = Setup::new();
    let (train, valid) = (rows(&setup.gpu, 22), rows(&setup.gpu, 7));
    let watch = Watch::new(|_| {});
    let (steps, validations) = (Rc::clone(&watch.steps), Rc::clone(&watch.validations));
    let history = setup
        .trainer(setup.adam())
        .batch_size(5)
        .epochs(4)
        .average(Swa::from_epoch(2))
        .validate(&valid)
        .callback(watch)
        .fit(&train, |batch, mode| setup.loss(batch, mode))
        .unwrap();
    let (steps, validations) = (steps.borrow(), validations.borrow());
    assert_eq!(validations[0], steps[4], "no average yet");
    let two = mix(0.5, &steps[9], &steps[14]);
    assert_close(&validations[2], &two, &PARAMETERS);
    assert_close(&validations[3], &mix(2.0 / 3.0, &two, &steps[19]), &PARAMETERS);
    assert_eq!(setup.state(), validations[3]);
    // The first layer normalises the data itself, so that its statistics are known.
    let (mean, variance) = statistics(22);
    let state = setup.state();
    let [found_mean, found_variance] = BUFFERS.map(|name| f64::from(state.tensors[name].1[0]));
    assert!((found_mean - mean).abs() < 1e-5, "{found_mean} {mean}");
    assert!((found_variance - variance).abs() < 1e-5, "{found_variance} {variance}");
    let moved = f64::from(steps[19].tensors[BUFFERS[0]].1[0]);
    assert!((moved - mean).abs() > 1e-3, "{moved} {mean}: the test sees no difference");
    // Counters are the model's.
    let count = "0.num_batches_tracked";
    assert_eq!(state.tensors[count], steps[19].tensors[count]);
    let found = evaluate(&valid, 5, &[], |batch, mode| setup.loss(batch, mode)).unwrap();
    assert_eq!(Some(found[0].1), history.last("val_loss"));

    // Validation leaves no trace in training: the raw weights are those of a run without.
    let without = Setup::new();
    let train = rows(&without.gpu, 22);
    let mut trainer = without.trainer(without.adam()).batch_size(5).epochs(4);
    trainer
        .fit(&train, |batch, mode| Ok(without.model.forward(&batch.x, mode)?.cross_entropy(&batch.y, 0.0)?))
        .unwrap();
    assert_eq!(without.state(), steps[19]);
}

/// Where a batch's statistics are far from 1, the momentum still comes out.
#[test]
fn running_values_of_large_inputs_are_theirs() {
    let setup = Setup::new();
    let train = rows(&setup.gpu, 22);
    let mut trainer = setup.trainer(setup.adam()).batch_size(5).epochs(1).average(Swa::from_epoch(1));
    trainer
        .fit(&train, |batch, mode| {
            let x = batch.x.mul_add_scalar(1e4, 0.0)?;
            Ok(setup.model.forward(&x, mode)?.cross_entropy(&batch.y, 0.0)?)
        })
        .unwrap();
    let (_, variance) = statistics(22);
    let found = f64::from(setup.state().tensors[BUFFERS[1]].1[0]);
    assert!((found / (variance * 1e8) - 1.0).abs() < 1e-4, "{found} {variance}");
}
