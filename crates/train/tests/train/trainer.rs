//! Fits from beginning to end: figures, loggers, several losses, what ends a fit, what is refused.

use wgrad_nn::{Linear, Mode, OneCycle, PlateauOptions, ReduceOnPlateau, Schedule, Sgd, SgdOptions, build};
use wgrad_train::{Ended, Error, Interrupt, Output, Result, cross_validate, evaluate};

use crate::support::{Accuracy, Noted, Setup, Told, Watch, rows};

#[test]
fn a_fit_learns_and_its_history_is_of_all_rows() {
    let setup = Setup::plain();
    let (train, valid) = (rows(&setup.gpu, 22), rows(&setup.gpu, 7));
    let history = setup
        .trainer(setup.sgd())
        .batch_size(5)
        .epochs(20)
        .validate(&valid)
        .metric(Accuracy)
        .fit(&train, |batch, mode| setup.loss(batch, mode))
        .unwrap();
    assert_eq!((history.steps, history.epochs.len(), &history.ended), (100, 20, &Ended::Epochs));
    let losses = history.column("train_loss");
    assert!(losses[19] < 0.5 * losses[0], "{losses:?}");
    let names: Vec<&str> = history.epochs[0].names().collect();
    assert_eq!(names, ["train_loss", "val_loss", "val_accuracy", "lr", "seconds"]);
    assert_eq!((history.epochs[3].epoch, history.epochs[3].step), (4, 20));
    // Whatever the batches, figures are of all rows.
    for batch_size in [1, 2, 7] {
        let found =
            evaluate(&valid, batch_size, &[&Accuracy], |batch, mode| setup.loss(batch, mode)).unwrap();
        assert!((found[0].1 - history.last("val_loss").unwrap()).abs() < 1e-6, "{found:?}");
        assert_eq!((found[1].0.as_str(), Some(found[1].1)), ("accuracy", history.last("val_accuracy")));
    }
    assert!(history.memory.peak > 0);

    let folder = tempfile::tempdir().unwrap();
    history.save(folder.path().join("history.json")).unwrap();
    let text = std::fs::read_to_string(folder.path().join("history.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["epochs"][19]["epoch"], 20);
    let written = json["epochs"][19]["val_loss"].as_f64().unwrap();
    assert!((written - history.last("val_loss").unwrap()).abs() < 1e-12);
}

/// The train loss is the mean over rows where batches differ: 4 × 5 rows and one of 2.
#[test]
fn a_train_loss_is_weighted_by_rows() {
    let setup = Setup::plain();
    let train = rows(&setup.gpu, 22);
    // The loss of a batch is its number of rows.
    let loss = |batch: &wgrad_data::Batch, mode| -> Result<Output> {
        let y = setup.model.forward(&batch.x, mode)?.sum_all()?;
        Ok(y.mul_add_scalar(0.0, batch.x.shape()[0] as f32)?.into())
    };
    let trainer = || setup.trainer(setup.sgd()).batch_size(5).epochs(1);
    let history = trainer().fit(&train, loss).unwrap();
    assert_eq!(history.last("train_loss"), Some((4.0 * 25.0 + 4.0) / 22.0));
    let counted = |batch: &wgrad_data::Batch, mode: Mode| {
        let n = batch.x.shape()[0];
        Ok(loss(batch, mode)?.counted(if n == 2 { 0.0 } else { 1.0 }))
    };
    assert_eq!(trainer().fit(&train, counted).unwrap().last("train_loss"), Some(5.0));
    // A mean over nothing is NaN, which those who ask for it have a rule for.
    let mut none = trainer().callback(wgrad_train::EarlyStopping::on("train_loss"));
    let history = none.fit(&train, |batch, mode| Ok(loss(batch, mode)?.counted(0.0))).unwrap();
    assert!(history.last("train_loss").unwrap().is_nan());
    // Without an end of its own a fit has that of its steps.
    let mut endless = trainer().epochs(usize::MAX).max_steps(3);
    assert_eq!(endless.fit(&train, loss).unwrap().steps, 3);
    let error = trainer().fit(&train, |batch, mode| Ok(loss(batch, mode)?.counted(f64::NAN))).unwrap_err();
    assert!(matches!(error, Error::Usage(_)), "{error}");
}

#[test]
fn several_losses_are_summed_by_weight_and_logged_apart() {
    let setup = Setup::plain();
    let (train, valid) = (rows(&setup.gpu, 22), rows(&setup.gpu, 7));
    let noted = Noted::default();
    let history = setup
        .trainer(setup.sgd())
        .batch_size(8)
        .epochs(2)
        .accumulate(2)
        .validate(&valid)
        .logger(noted.clone())
        .fit(&train, |batch, mode| {
            let y = setup.model.forward(&batch.x, mode)?;
            let (class, size) = (y.cross_entropy(&batch.y, 0.0)?, y.square()?.mean_all()?);
            Output::weighted([("class", class, 1.0), ("size", size, 0.25)])
        })
        .unwrap();
    for prefix in ["train", "val"] {
        let [loss, class, size] = ["loss", "class", "size"].map(|name| {
            history.last(&format!("{prefix}_{name}")).unwrap_or_else(|| panic!("{prefix} {name}"))
        });
        assert!((loss - (class + 0.25 * size)).abs() < 1e-6, "{loss} {class} {size}");
        assert!(size > 0.0 && class > 0.0);
    }
    let lines = noted.lines.borrow();
    let steps: Vec<u64> = lines.iter().map(|(step, _)| *step).collect();
    // Two steps an epoch, of 16 and of 6 rows, and a line for the epoch.
    assert_eq!(steps, [1, 2, 2, 3, 4, 4]);
    let names = |i: usize| lines[i].1.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
    assert_eq!(names(0), ["loss", "class", "size", "lr"]);
    assert_eq!(names(2)[..3], ["epoch", "train_loss", "train_class"]);
    assert_eq!(*noted.ends.borrow(), ["start 0", "finish"]);
    let none: [(&str, wgrad_autograd::Tensor, f32); 0] = [];
    assert!(matches!(Output::weighted(none), Err(Error::Usage(_))));
    let one = wgrad_autograd::Tensor::full(&setup.gpu, &[], 1.0).unwrap();
    for names in [["loss", "kl"], ["a", "lr"], ["a", "a"], ["a", "b\nc"]] {
        let error = Output::weighted(names.map(|name| (name, one.clone(), 1.0))).unwrap_err();
        assert!(
            error.to_string().contains(&format!("{:?}", names[if names[0] == "loss" { 0 } else { 1 }])),
            "{error}"
        );
    }
}

/// From 0.1 to nothing.
#[derive(Debug)]
struct Falling {
    total: u64,
}

impl Schedule for Falling {
    fn lr(&self, step: u64) -> f64 {
        0.1 * (1.0 - step as f64 / self.total as f64)
    }

    fn check(&self) -> wgrad_nn::Result<()> {
        Ok(())
    }
}

impl std::fmt::Display for Falling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "falling in {} steps", self.total)
    }
}

#[test]
fn a_schedule_goes_by_optimizer_steps() {
    let setup = Setup::plain();
    let train = rows(&setup.gpu, 22);
    let noted = Noted::default();
    // 5 batches are 3 steps of 2 batches, rounded up.
    let history = setup
        .trainer(setup.sgd())
        .batch_size(5)
        .accumulate(2)
        .epochs(2)
        .schedule_for(|total| Ok(Falling { total }))
        .logger(noted.clone())
        .fit(&train, |batch, mode| setup.loss(batch, mode))
        .unwrap();
    assert_eq!(history.steps, 6);
    let lines = noted.lines.borrow();
    let rates = lines.iter().filter(|(_, values)| values[0].0 == "loss").map(|(_, values)| values[1].1);
    let falling = Falling { total: 6 };
    assert_eq!(rates.collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5].map(|step| falling.lr(step)));
    assert_eq!(history.column("lr"), [falling.lr(2), falling.lr(5)]);
}

#[test]
fn a_rate_falls_when_a_figure_stands_still() {
    let setup = Setup::plain();
    let (train, valid) = (rows(&setup.gpu, 6), rows(&setup.gpu, 2));
    let options = PlateauOptions { lr: 0.1, patience: 1, factor: 0.5, ..Default::default() };
    let told = [1.0, 1.0, 1.0, 0.5, 0.5, 0.5].repeat(2);
    let mut trainer = setup
        .trainer(setup.sgd())
        .epochs(6)
        .validate(&valid)
        .metric(Told::new(&told, false))
        .reduce_on_plateau("val_told", ReduceOnPlateau::new(options).unwrap());
    // A second fit begins with the first rate, and knows nothing of the first one's best.
    for _ in 0..2 {
        let history = trainer.fit(&train, |batch, mode| setup.loss(batch, mode)).unwrap();
        assert_eq!(history.column("lr"), [0.1, 0.1, 0.1, 0.05, 0.05, 0.05]);
    }
}

#[test]
fn the_best_epoch_is_never_one_without_a_figure() {
    let setup = Setup::plain();
    let (train, valid) = (rows(&setup.gpu, 6), rows(&setup.gpu, 2));
    let mut trainer = setup.trainer(setup.sgd()).epochs(4).validate(&valid);
    trainer = trainer.metric(Told::new(&[f64::NAN, 0.3, 0.1, 0.2], true));
    let history = trainer.fit(&train, |batch, mode| setup.loss(batch, mode)).unwrap();
    let epoch = |record: Option<&wgrad_train::EpochRecord>| record.map(|record| record.epoch);
    assert_eq!(epoch(history.highest("val_told")), Some(2));
    assert_eq!(epoch(history.lowest("val_told")), Some(3));
    // With a patience of one epoch, only the first of these brings nothing better.
    let options = PlateauOptions { lr: 1.0, patience: 1, ..Default::default() };
    let mut schedule = ReduceOnPlateau::new(options).unwrap();
    assert_eq!([f64::NAN, 0.3, 0.2, 0.1].map(|loss| schedule.step(loss)), [1.0; 4]);
}

#[test]
fn names_that_checkpoints_keep_to_themselves_are_refused() {
    let setup = Setup::plain();
    let (_, params) = build(&setup.gpu, 0, |b| Linear::new(&b.scope("average"), 4, 2)).unwrap();
    let sgd = Sgd::new(&params, SgdOptions { lr: 0.1, ..Default::default() }).unwrap();
    let mut trainer =
        wgrad_train::Trainer::new(&params, sgd).callback(wgrad_train::EarlyStopping::on("train_loss"));
    let train = rows(&setup.gpu, 6);
    let error = trainer.fit(&train, |batch, mode| setup.loss(batch, mode)).unwrap_err();
    assert!(matches!(&error, Error::Usage(_)) && error.to_string().contains("average.weight"), "{error}");
}

#[test]
fn what_makes_no_sense_is_refused_before_the_first_step() {
    let setup = Setup::plain();
    let (train, before) = (rows(&setup.gpu, 22), setup.state());
    let trainer = || setup.trainer(setup.sgd()).batch_size(5).epochs(1);
    let cycle = OneCycle { div_factor: 0.0, ..OneCycle::new(0.1, 10).unwrap() };
    for mut refused in [
        trainer().batch_size(0),
        trainer().accumulate(0),
        trainer().clip_norm(-1.0),
        trainer().clip_value(f32::NAN),
        trainer().schedule(cycle),
        trainer().average(wgrad_train::Ema::new(1.0)),
        trainer().average(wgrad_train::Swa::from_epoch(0)),
        trainer().callback(wgrad_train::EarlyStopping::on("val_loss")),
        trainer().callback(wgrad_train::EarlyStopping::on("train_loss").min_delta(f64::NAN)),
    ] {
        let error = refused.fit(&train, |batch, mode| setup.loss(batch, mode)).unwrap_err();
        assert!(matches!(error, Error::Usage(_)), "{error}");
    }
    assert_eq!(setup.state(), before);
    let mut unknown = trainer().callback(wgrad_train::EarlyStopping::on("train_f1"));
    let error = unknown.fit(&train, |batch, mode| setup.loss(batch, mode)).unwrap_err();
    assert!(error.to_string().contains("train_f1") && error.to_string().contains("train_loss"), "{error}");
    let unjudged = |batch: &wgrad_data::Batch, mode| -> Result<Output> {
        Ok(setup.model.forward(&batch.x, mode)?.cross_entropy(&batch.y, 0.0)?.into())
    };
    let error = trainer().validate(&train).metric(Accuracy).fit(&train, unjudged).unwrap_err();
    assert!(matches!(error, Error::Usage(_)) && error.to_string().contains("judged"), "{error}");
}

#[test]
fn what_ended_a_fit_is_said() {
    let setup = Setup::plain();
    let train = rows(&setup.gpu, 22);
    let trainer = || setup.trainer(setup.sgd()).batch_size(5).epochs(3);
    let loss = |batch: &wgrad_data::Batch, mode| setup.loss(batch, mode);
    let history = trainer().max_steps(7).fit(&train, loss).unwrap();
    assert_eq!((history.steps, history.epochs.len(), history.ended), (7, 1, Ended::MaxSteps));
    let interrupt = Interrupt::default();
    let set = interrupt.clone();
    let watch = Watch::new(move |fit| {
        if fit.step() == 3 {
            set.set();
        }
    });
    let history = trainer().interrupt(&interrupt).callback(watch).fit(&train, loss).unwrap();
    assert_eq!((history.steps, history.epochs.len(), history.ended), (3, 0, Ended::Interrupted));
    let limit = wgrad_train::TimeLimit::of(std::time::Duration::ZERO);
    let history = trainer().callback(limit).fit(&train, loss).unwrap();
    assert!(matches!(&history.ended, Ended::Stopped(reason) if reason.contains("time limit")));
    assert_eq!(history.steps, 1);
}

#[test]
fn each_fold_is_a_fit_of_its_own() {
    let folds = cross_validate([0.5, 0.7, 0.9], |told, i| {
        let setup = Setup::plain();
        let (train, valid) = (rows(&setup.gpu, 10 + i), rows(&setup.gpu, 4));
        setup
            .trainer(setup.sgd())
            .epochs(1)
            .validate(&valid)
            .metric(Told::new(&[told], true))
            .fit(&train, |batch, mode| setup.loss(batch, mode))
    })
    .unwrap();
    let (mean, deviation) = folds.mean("val_told").unwrap();
    assert!((mean - 0.7).abs() < 1e-12 && (deviation - 0.2).abs() < 1e-12, "{mean} {deviation}");
    assert_eq!((folds.folds.len(), folds.mean("val_f1")), (3, None));
    assert_eq!(folds.folds[0].restored, None);
}
