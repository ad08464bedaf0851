//! Which rows an epoch trains on, and what is counted of them as they come.

use std::cell::RefCell;
use std::path::Path;

use wgrad_data::Batch;
use wgrad_nn::{Mode, StateDict};
use wgrad_train::metrics::{Average, Outputs, Score};
use wgrad_train::{
    Accumulator, Checkpoints, Error, History, LrFinder, Metric, NonFinite, Output, Result, Swa, Trainer,
};

use crate::support::{Accuracy, Setup, Watch, figures, rows};

#[test]
fn a_short_last_batch_is_left_out_where_that_is_asked_for() {
    let setup = Setup::new();
    let train = rows(&setup.gpu, 22);
    let sizes = RefCell::new(Vec::new());
    let loss = |batch: &Batch, mode| {
        sizes.borrow_mut().push(batch.x.shape()[0]);
        setup.loss(batch, mode)
    };
    let trainer = || setup.trainer(setup.sgd()).batch_size(5).epochs(2);
    let history = trainer().drop_last(true).fit(&train, loss).unwrap();
    assert_eq!((history.steps, sizes.take()), (8, vec![5; 8]));
    assert_eq!(trainer().fit(&train, loss).unwrap().steps, 10);
    assert_eq!(sizes.take().iter().filter(|size| **size == 2).count(), 2);
    // Where there is no short one, nothing is left out; and a step of several batches has those that are left.
    let history = trainer().batch_size(11).drop_last(true).fit(&train, loss).unwrap();
    assert_eq!((history.steps, sizes.take()), (4, vec![11; 4]));
    let history = trainer().accumulate(3).drop_last(true).fit(&train, loss).unwrap();
    assert_eq!((history.steps, sizes.take()), (4, vec![5; 8]));
    // Other passes over the training rows leave it out as well: batch norm takes no batch of one row.
    let mut one = trainer().batch_size(7).drop_last(true).average(Swa::from_epoch(1));
    one.fit(&train, loss).unwrap();
    one.find_lr(&train, LrFinder { steps: 9, ..Default::default() }, loss).unwrap();
    assert!(sizes.take().iter().all(|size| *size == 7));

    let error = trainer().batch_size(23).drop_last(true).fit(&train, loss).unwrap_err();
    assert!(matches!(&error, Error::Usage(text) if text.contains("22 rows make no batch of 23")), "{error}");
    let mut none = trainer().batch_size(23).drop_last(true);
    let error = none.find_lr(&train, LrFinder::default(), loss).unwrap_err();
    assert!(matches!(&error, Error::Usage(text) if text.contains("22 rows make no batch of 23")), "{error}");
}

/// Scores of each kind of accumulator, which all take one logit for each row.
const SCORES: [Score; 5] =
    [Score::Accuracy, Score::FBeta(1.0, Average::Macro), Score::RocAuc, Score::Rmse, Score::R2];

fn judged(setup: &Setup, batch: &Batch, mode: Mode) -> Result<Output> {
    let y = setup.model.forward(&batch.x, mode)?;
    let logit = y.narrow(1, 1, 1)?.sub(&y.narrow(1, 0, 1)?)?;
    Ok(Output::new(y.cross_entropy(&batch.y, 0.0)?).judged(logit, &batch.y))
}

fn run<'a>(
    folder: &Path,
    most: Option<u64>,
    change: impl FnOnce(Trainer<'a>) -> Trainer<'a>,
) -> Result<(StateDict, History)> {
    let setup = Setup::new();
    let train = rows(&setup.gpu, 22);
    let trainer = setup.trainer(setup.adam()).batch_size(3).accumulate(2).epochs(2).max_steps(most);
    let trainer = trainer.callback(Checkpoints::in_folder(folder).resume(true));
    let history = change(trainer).fit(&train, |batch, mode| judged(&setup, batch, mode))?;
    Ok((setup.state(), history))
}

fn scored(trainer: Trainer<'_>) -> Trainer<'_> {
    SCORES.into_iter().fold(trainer.drop_last(true), |trainer, score| trainer.train_metric(score))
}

#[test]
fn resumed_at_any_step_rows_and_their_metrics_are_those_of_the_unbroken_run() {
    let whole = tempfile::tempdir().unwrap();
    let (state, history) = run(whole.path(), None, scored).unwrap();
    let names: Vec<&str> = history.epochs[0].names().collect();
    let expected =
        ["train_loss", "train_accuracy", "train_f1_macro", "train_roc_auc", "train_rmse", "train_r2"];
    assert_eq!(names[..6], expected);
    assert!(history.epochs.iter().all(|epoch| epoch.figures.iter().all(|(_, value)| value.is_finite())));
    // 21 rows are 7 batches, and 4 steps an epoch.
    assert_eq!(history.steps, 8);
    for step in 1..8 {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), Some(step), scored).unwrap();
        let (resumed, found) = run(folder.path(), None, scored).unwrap();
        assert_eq!((&resumed, figures(&found)), (&state, figures(&history)), "resumed at step {step}");
    }
    // A run that trains on all rows is another one.
    let error = run(whole.path(), None, |trainer| trainer).unwrap_err().to_string();
    assert!(error.contains("without a short last batch"), "{error}");
}

#[test]
fn a_metric_without_a_state_has_no_figure_of_an_epoch_that_was_resumed() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), Some(2), |trainer| trainer).unwrap();
    let (_, history) = run(folder.path(), None, |trainer| trainer.train_metric(Score::Accuracy)).unwrap();
    let accuracy = history.column("train_accuracy");
    assert!(accuracy[0].is_nan() && (0.0..=1.0).contains(&accuracy[1]), "{accuracy:?}");

    let folder = tempfile::tempdir().unwrap();
    let own = |trainer: Trainer<'static>| trainer.train_metric(Count);
    run(folder.path(), Some(6), own).unwrap();
    let (_, history) = run(folder.path(), None, own).unwrap();
    let rows = history.column("train_rows");
    assert!(rows[0] == 22.0 && rows[1].is_nan(), "{rows:?}");
}

/// The number of rows that were judged.
struct Count;

impl Metric for Count {
    fn name(&self) -> String {
        "rows".to_owned()
    }

    fn accumulator(&self) -> Box<dyn Accumulator> {
        Box::new(Rows(0))
    }

    fn higher_is_better(&self) -> bool {
        true
    }
}

struct Rows(usize);

impl Accumulator for Rows {
    fn update(&mut self, prediction: &wgrad_autograd::Tensor, _: &wgrad_autograd::Tensor) -> Result<()> {
        self.0 += prediction.shape()[0];
        Ok(())
    }

    fn compute(&mut self) -> Result<f64> {
        Ok(self.0 as f64)
    }
}

#[test]
fn metrics_of_the_training_rows_judge_what_the_steps_predicted() {
    let setup = Setup::new();
    let train = rows(&setup.gpu, 22);
    let counted = RefCell::new(Score::Accuracy.of(Outputs::Logits, 0.5).accumulator());
    let watch = Watch::new(|fit| assert!(fit.higher_is_better("train_accuracy")));
    let history = setup
        .trainer(setup.sgd())
        .batch_size(5)
        .epochs(1)
        .train_metric(Score::Accuracy)
        .train_metric(Accuracy)
        .callback(watch)
        .fit(&train, |batch, mode| {
            let output = setup.loss(batch, mode)?;
            let y = setup.model.forward(&batch.x, Mode::Eval)?;
            assert_eq!(mode, Mode::Train);
            // What the model said in training, with dropout, differs from what it says in evaluation.
            counted.borrow_mut().update(&y, &batch.y)?;
            Ok(output)
        })
        .unwrap();
    let column: Vec<f64> =
        history.epochs[0].figures.iter().filter(|(name, _)| name == "train_accuracy").map(|f| f.1).collect();
    assert_eq!((column.len(), column[0]), (2, column[1]));
    assert!((0.0..=1.0).contains(&column[0]) && counted.borrow_mut().compute().unwrap() <= 1.0);

    // Without dropout both are one.
    let plain = Setup::plain();
    let own = RefCell::new(Score::Accuracy.accumulator());
    let history = plain
        .trainer(plain.sgd())
        .batch_size(5)
        .epochs(1)
        .train_metric(Score::Accuracy)
        .fit(&train, |batch, mode| {
            own.borrow_mut().update(&plain.model.forward(&batch.x, Mode::Eval)?, &batch.y)?;
            plain.loss(batch, mode)
        })
        .unwrap();
    assert_eq!(history.last("train_accuracy"), Some(own.borrow_mut().compute().unwrap()));
}

#[test]
fn a_skipped_step_is_not_judged_and_predictions_are_asked_for() {
    let setup = Setup::plain();
    let train = rows(&setup.gpu, 20);
    let mut batches = 0;
    let history = setup
        .trainer(setup.sgd())
        .batch_size(5)
        .epochs(1)
        .non_finite(NonFinite::Skip)
        .train_metric(Count)
        .fit(&train, |batch, mode| {
            batches += 1;
            let y = setup.model.forward(&batch.x, mode)?;
            let loss = y.cross_entropy(&batch.y, 0.0)?;
            let loss = if batches == 2 { loss.mul_add_scalar(f32::NAN, 0.0)? } else { loss };
            Ok(Output::new(loss).judged(y, &batch.y))
        })
        .unwrap();
    assert_eq!((history.skipped, history.last("train_rows")), (1, Some(15.0)));
    let mut trainer = setup.trainer(setup.sgd()).train_metric(Count);
    let error = trainer.fit(&train, |batch, mode| {
        Ok(Output::new(setup.model.forward(&batch.x, mode)?.cross_entropy(&batch.y, 0.0)?))
    });
    let error = error.unwrap_err().to_string();
    assert!(error.contains("judged"), "{error}");
}
