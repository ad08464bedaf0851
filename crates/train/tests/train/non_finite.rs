//! Gradients that are no numbers, and gradients that are bounded.

use std::rc::Rc;

use wgrad_nn::{Mode, OneCycle};
use wgrad_train::{Ema, Error, NonFinite, Output, Result};

use crate::support::{Noted, Setup, Watch, rows};

/// A loss that is finite, and in step `bad` has a gradient that is NaN, or infinite.
fn spoilt<'s>(
    setup: &'s Setup,
    bad: usize,
    infinite: bool,
) -> impl FnMut(&wgrad_data::Batch, Mode) -> Result<Output> + use<'s> {
    let mut step = 0;
    move |batch, mode| {
        let output = setup.loss(batch, mode)?;
        let y = setup.model.forward(&batch.x, mode)?;
        step += usize::from(mode == Mode::Train);
        if step != bad || mode != Mode::Train {
            return Ok(output);
        }
        let zero = if infinite {
            // Of one row alone, so that no two infinities are added up.
            y.narrow(0, 0, 1)?.sub(&y.narrow(0, 0, 1)?.detach())?.sqrt()?.sum_all()?
        } else {
            y.mul_add_scalar(0.0, 0.0)?.sqrt()?.sum_all()?
        };
        let loss = setup.model.forward(&batch.x, mode)?.cross_entropy(&batch.y, 0.0)?.add(&zero)?;
        Ok(loss.into())
    }
}

#[test]
fn a_gradient_that_is_no_number_stops_the_fit_before_its_step() {
    let setup = Setup::plain();
    let train = rows(&setup.gpu, 22);
    let watch = Watch::new(|_| {});
    let steps = Rc::clone(&watch.steps);
    let mut trainer = setup.trainer(setup.sgd()).batch_size(5).clip_norm(1.0).callback(watch);
    let error = trainer.fit(&train, spoilt(&setup, 3, false)).unwrap_err();
    assert!(matches!(error, Error::GradientNotFinite { step: 3, .. }), "{error}");
    assert_eq!((steps.borrow().len(), trainer.optimizer().steps()), (2, 2));
    assert_eq!(setup.state(), steps.borrow()[1]);

    // Found late, it is found all the same.
    let setup = Setup::plain();
    let train = rows(&setup.gpu, 22);
    let mut late = setup.trainer(setup.sgd()).batch_size(5).clip_norm(1.0);
    late = late.non_finite(NonFinite::StopLate);
    let error = late.fit(&train, spoilt(&setup, 3, false)).unwrap_err();
    assert!(matches!(error, Error::GradientNotFinite { step: 3, .. }), "{error}");
}

#[test]
fn an_infinite_gradient_is_found_though_clipping_bounds_it() {
    for (policy, norm) in [NonFinite::Stop, NonFinite::StopLate, NonFinite::Skip]
        .into_iter()
        .flat_map(|policy| [None, Some(1.0)].map(|norm| (policy, norm)))
    {
        let setup = Setup::plain();
        let train = rows(&setup.gpu, 22);
        let watch = Watch::new(|_| {});
        let steps = Rc::clone(&watch.steps);
        let trainer = setup.trainer(setup.sgd()).batch_size(5).epochs(1).callback(watch);
        let trainer = trainer.non_finite(policy).clip_value(1.0);
        let mut trainer = match norm {
            Some(norm) => trainer.clip_norm(norm),
            None => trainer,
        };
        let ended = trainer.fit(&train, spoilt(&setup, 3, true));
        if policy == NonFinite::Skip {
            assert_eq!(ended.unwrap().skipped, 1, "{norm:?}");
            assert_eq!(steps.borrow()[2], steps.borrow()[1]);
            continue;
        }
        let error = ended.unwrap_err();
        let Error::GradientNotFinite { step: 3, norm: found, .. } = error else {
            panic!("{policy:?}: {error}")
        };
        assert_eq!(found, f32::INFINITY);
        if policy == NonFinite::Stop {
            assert_eq!(setup.state(), steps.borrow()[1]);
        }
    }
}

#[test]
fn a_skipped_step_moves_nothing() {
    let setup = Setup::plain();
    let (train, noted) = (rows(&setup.gpu, 22), Noted::default());
    let watch = Watch::new(|_| {});
    let steps = Rc::clone(&watch.steps);
    let mut trainer = setup
        .trainer(setup.sgd())
        .batch_size(5)
        .epochs(2)
        .shuffle(false)
        .non_finite(NonFinite::Skip)
        .schedule(OneCycle::new(0.1, 10).unwrap())
        .average(Ema::new(0.5))
        .callback(watch)
        .logger(noted.clone());
    let first = setup.state();
    let history = trainer.fit(&train, spoilt(&setup, 3, false)).unwrap();
    let cycle = OneCycle::new(0.1, 10).unwrap();
    assert_eq!((history.steps, history.skipped, trainer.optimizer().steps()), (9, 1, 9));
    let steps = steps.borrow();
    assert_eq!(steps.len(), 10);
    assert_eq!(steps[2], steps[1]);
    assert_ne!(steps[3], steps[2]);
    assert_eq!(history.last("lr"), Some(cycle.lr(8)));
    // The average has no part of it either.
    let made = steps.iter().enumerate().filter(|(i, _)| *i != 2);
    let biases = |state: &wgrad_nn::StateDict| state.tensors["1.bias"].1.clone();
    let average = made.fold(biases(&first), |sum, (_, step)| {
        sum.iter().zip(biases(step)).map(|(a, b)| 0.5 * a + 0.5 * b).collect()
    });
    for (a, b) in biases(&setup.state()).iter().zip(&average) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
    let lines = noted.lines.borrow();
    assert_eq!((lines[2].0, lines[2].1[0].clone()), (2, ("skipped".to_owned(), 1.0)));
    let rates: Vec<f64> = lines.iter().filter(|(_, v)| v[0].0 == "loss").map(|(_, v)| v[1].1).collect();
    assert_eq!(rates, (0..9).map(|step| cycle.lr(step)).collect::<Vec<_>>());

    // The same without that batch: the loss is weighted by the rows that were stepped on.
    assert!(history.epochs[0].get("train_loss").unwrap().is_finite());
}

#[test]
fn a_skipped_batch_leaves_no_trace_in_running_values() {
    let setup = Setup::new();
    let train = rows(&setup.gpu, 22);
    let watch = Watch::new(|_| {});
    let steps = Rc::clone(&watch.steps);
    let mut step = 0;
    let mut trainer = setup.trainer(setup.sgd()).batch_size(5).epochs(1).callback(watch);
    trainer = trainer.non_finite(NonFinite::Skip);
    let history = trainer
        .fit(&train, |batch, mode| {
            step += 1;
            let x = if step == 3 { batch.x.mul_add_scalar(f32::NAN, 0.0)? } else { batch.x.clone() };
            Ok(setup.model.forward(&x, mode)?.cross_entropy(&batch.y, 0.0)?)
        })
        .unwrap();
    assert_eq!((history.steps, history.skipped), (4, 1));
    let steps = steps.borrow();
    assert_ne!(steps[1].tensors["0.running_mean"], steps[0].tensors["0.running_mean"]);
    assert_eq!(steps[2], steps[1]);
    assert!(setup.state().tensors["0.running_var"].1.iter().all(|value| value.is_finite()));
}

#[test]
fn clipped_gradients_are_those_of_the_whole_step() {
    let bounded = |norm: Option<f32>, value: Option<f32>| {
        let setup = Setup::plain();
        let train = rows(&setup.gpu, 20);
        let before = setup.params.values().copy().unwrap();
        let sgd = wgrad_nn::Sgd::new(&setup.params, wgrad_nn::SgdOptions { lr: 1.0, ..Default::default() });
        let mut trainer = setup.trainer(sgd.unwrap()).batch_size(5).accumulate(4).epochs(1);
        if let Some(norm) = norm {
            trainer = trainer.clip_norm(norm);
        }
        if let Some(value) = value {
            trainer = trainer.clip_value(value);
        }
        let history = trainer.fit(&train, |batch, mode| setup.loss(batch, mode)).unwrap();
        assert_eq!(history.steps, 1);
        let mut change = setup.params.values().copy().unwrap();
        change.add_scaled(&before, -1.0).unwrap();
        let most = change.iter().flat_map(|(_, values)| values.to_vec().unwrap());
        let most = most.fold(0.0f32, |most, value| most.max(value.abs()));
        (change.global_norm().unwrap().item().unwrap(), most)
    };
    let (norm, most) = bounded(None, None);
    assert!(norm > 0.05 && most > 0.02, "{norm} {most}");
    assert!((bounded(Some(0.01), None).0 - 0.01).abs() < 1e-6);
    assert!((bounded(None, Some(0.01)).1 - 0.01).abs() < 1e-6);
    assert!((bounded(Some(10.0), None).0 - norm).abs() < 1e-6);
}
