//! Early stopping: patience, improvement, and the best weights.

use std::rc::Rc;

use wgrad_train::{EarlyStopping, Ema, Ended, Error, History, Interrupt, Result, TimeLimit, Trainer};

use crate::support::{Setup, Told, Watch, rows};

/// A fit whose validation figures are `told`.
fn told(values: &[f64], higher: bool, stopping: EarlyStopping) -> History {
    let setup = Setup::plain();
    let (train, valid) = (rows(&setup.gpu, 6), rows(&setup.gpu, 2));
    setup
        .trainer(setup.sgd())
        .epochs(values.len())
        .validate(&valid)
        .metric(Told::new(values, higher))
        .callback(stopping)
        .fit(&train, |batch, mode| setup.loss(batch, mode))
        .unwrap()
}

#[test]
fn patience_counts_epochs_since_the_best() {
    let on = |patience| EarlyStopping::on("val_told").patience(patience);
    let epochs = |values: &[f64], higher, stopping| told(values, higher, stopping).epochs.len();
    // Each epoch is better than the one before, and not than the best.
    let zigzag = [1.0, 0.5, 0.9, 0.8, 0.7, 0.6];
    assert_eq!(epochs(&zigzag, false, on(3)), 5);
    assert_eq!(epochs(&zigzag, false, on(5)), 6);
    assert_eq!(epochs(&zigzag, false, on(1)), 3);
    assert_eq!(epochs(&zigzag, false, on(0)), 3, "0 ends it at the first epoch without improvement");
    assert_eq!(epochs(&zigzag, true, on(2)), 3);
    assert_eq!(epochs(&zigzag, false, on(1).without_end()), 6);
    // An equal figure is none that is better; one better by min_delta neither.
    assert_eq!(epochs(&[1.0, 1.0, 1.0], false, on(2)), 3);
    assert_eq!(epochs(&[1.0, 0.75, 0.5, 0.25, 0.0], false, on(2).min_delta(0.25)), 5);
    assert_eq!(epochs(&[1.0, 0.75, 0.25, 0.5, 0.25, 0.0], false, on(2).min_delta(0.25)), 5);
    // NaN is no improvement, and not the best either.
    assert_eq!(epochs(&[f64::NAN, f64::NAN, 1.0, 0.5], false, on(2)), 2);
    assert_eq!(epochs(&[f64::NAN, 1.0, f64::NAN, 0.5], false, on(2)), 4);
    let history = told(&zigzag, false, on(3));
    assert!(matches!(&history.ended, Ended::Stopped(why) if why.contains("val_told has not improved for 3")));
    assert_eq!(history.lowest("val_told").unwrap().epoch, 2);
    assert_eq!(history.highest("val_told").unwrap().epoch, 1);
}

/// The best epoch is the second of `epochs`; the state then, and how the fit ended.
fn restored(epochs: usize, change: impl FnOnce(Trainer<'_>) -> Trainer<'_>, fails: bool) {
    let setup = Setup::new();
    let (train, valid) = (rows(&setup.gpu, 22), rows(&setup.gpu, 7));
    let watch = Watch::new(|_| {});
    let (steps, validations) = (Rc::clone(&watch.steps), Rc::clone(&watch.validations));
    let told = Told::new(&[1.0, 0.0, 0.5, 0.4, 0.3][..epochs], false);
    let trainer = setup.trainer(setup.adam()).batch_size(5).epochs(epochs).validate(&valid);
    let stopping = EarlyStopping::on("val_told").patience(3).restore_best();
    let mut trainer = change(trainer.metric(told).callback(watch).callback(stopping));
    let ended = trainer.fit(&train, |batch, mode| -> Result<_> {
        if fails && steps.borrow().len() == 13 {
            return Err(Error::Usage("as asked".to_owned()));
        }
        setup.loss(batch, mode)
    });
    assert_eq!(ended.is_err(), fails);
    if let Ok(history) = ended {
        assert_eq!(history.restored, Some(2));
        assert_eq!(history.kept().and_then(|epoch| epoch.get("val_told")), Some(0.0));
    }
    assert!(steps.borrow().len() > 10, "it ended before the best epoch was over");
    assert_eq!(setup.state(), validations.borrow()[1]);
    assert_ne!(setup.state(), *steps.borrow().last().unwrap());
}

#[test]
fn the_best_weights_come_back_whatever_ended_the_fit() {
    restored(5, |trainer| trainer, false);
    restored(4, |trainer| trainer, false);
    restored(4, |trainer| trainer.max_steps(13), false);
    restored(4, |trainer| trainer.average(Ema::new(0.8)), false);
    restored(4, |trainer| trainer, true);
    let interrupt = Interrupt::default();
    let set = interrupt.clone();
    let watch = Watch::new(move |fit| {
        if fit.step() == 12 {
            set.set();
        }
    });
    restored(4, |trainer| trainer.interrupt(&interrupt).callback(watch), false);
    let watch = Watch::new(|fit| {
        if fit.step() == 12 {
            fit.stop("another callback");
        }
    });
    restored(4, |trainer| trainer.callback(watch).callback(TimeLimit::of(std::time::Duration::MAX)), false);
}
