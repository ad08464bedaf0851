//! Callbacks: the moments of a fit, the gradient that they may change, and the confusion matrix of each epoch.

use std::cell::RefCell;
use std::rc::Rc;

use wgrad_nn::{Gradients, Sgd, SgdOptions, StateDict};
use wgrad_train::metrics::{ClassCounts, Outputs};
use wgrad_train::{Callback, Checkpoints, Error, Fit, History, Penalty, Result};

use crate::support::{Noted, Setup, rows};

/// Notes each moment.
#[derive(Default)]
struct Moments(Rc<RefCell<Vec<&'static str>>>);

impl Moments {
    fn note(&self, moment: &'static str) -> Result<()> {
        self.0.borrow_mut().push(moment);
        Ok(())
    }
}

impl Callback for Moments {
    fn name(&self) -> &str {
        "moments"
    }

    fn on_fit_start(&mut self, _: &mut Fit) -> Result<()> {
        self.note("fit")
    }

    fn on_epoch_start(&mut self, _: &mut Fit) -> Result<()> {
        self.note("epoch")
    }

    fn on_step_start(&mut self, fit: &mut Fit) -> Result<()> {
        assert_eq!(fit.rows() % 4, 0);
        self.note("step")
    }

    fn on_before_optimizer_step(&mut self, _: &mut Fit, gradients: &mut Gradients) -> Result<()> {
        assert!(gradients.global_norm()?.item()? > 0.0);
        self.note("gradient")
    }

    fn on_step_end(&mut self, _: &mut Fit) -> Result<()> {
        self.note("step end")
    }

    fn on_validation_start(&mut self, fit: &mut Fit) -> Result<()> {
        assert_eq!(fit.history().epochs.len() + 1, fit.epoch());
        self.note("validation")
    }

    fn on_validation_end(&mut self, fit: &mut Fit) -> Result<()> {
        assert_eq!(fit.history().epochs.len(), fit.epoch());
        self.note("validation end")
    }

    fn on_epoch_end(&mut self, _: &mut Fit) -> Result<()> {
        self.note("epoch end")
    }

    fn on_fit_end(&mut self, _: &mut Fit) -> Result<()> {
        self.note("fit end")
    }
}

#[test]
fn the_moments_come_in_order() {
    let setup = Setup::plain();
    let (train, valid) = (rows(&setup.gpu, 8), rows(&setup.gpu, 4));
    let moments = Moments::default();
    let seen = moments.0.clone();
    let mut trainer = setup.trainer(setup.sgd()).batch_size(2).accumulate(2).epochs(2).validate(&valid);
    trainer = trainer.callback(moments);
    trainer.fit(&train, |batch, mode| setup.loss(batch, mode)).unwrap();
    let step = ["step", "gradient", "step end"];
    let epoch = [&["epoch"][..], &step, &step, &["validation", "validation end", "epoch end"]].concat();
    assert_eq!(*seen.borrow(), [&["fit"][..], &epoch, &epoch, &["fit end"]].concat());
}

/// Says each step's number, and notes what is said.
#[derive(Default)]
struct Speaker {
    heard: Rc<RefCell<Vec<String>>>,
    speaks: bool,
}

impl Callback for Speaker {
    fn name(&self) -> &str {
        "speaker"
    }

    fn on_step_end(&mut self, fit: &mut Fit) -> Result<()> {
        if self.speaks {
            assert_eq!(self.heard.borrow().len() as u64, fit.step() - 1, "what was said before has arrived");
            fit.say(format!("step {}", fit.step()));
        }
        Ok(())
    }

    fn on_message(&mut self, text: &str) {
        self.heard.borrow_mut().push(text.to_owned());
    }
}

#[test]
fn what_a_callback_says_reaches_all_of_them_at_once() {
    let setup = Setup::plain();
    let train = rows(&setup.gpu, 6);
    let (speaker, listener) = (Speaker { speaks: true, ..Speaker::default() }, Speaker::default());
    let heard = [speaker.heard.clone(), listener.heard.clone()];
    let mut trainer = setup.trainer(setup.sgd()).batch_size(2).epochs(1).callback(speaker).callback(listener);
    let history = trainer.fit(&train, |batch, mode| setup.loss(batch, mode)).unwrap();
    assert_eq!(history.messages, ["step 1", "step 2", "step 3"]);
    assert!(heard.iter().all(|heard| *heard.borrow() == history.messages));
}

/// A step of SGD at a rate of 0.5: the weights after it, and the norm of the gradient that it was made by.
fn stepped(penalty: Option<Penalty>) -> Result<(StateDict, f64)> {
    let setup = Setup::plain();
    let train = rows(&setup.gpu, 8);
    let sgd = Sgd::new(&setup.params, SgdOptions { lr: 0.5, ..Default::default() })?;
    let noted = Noted::default();
    // A norm that is not reached.
    let mut trainer = setup.trainer(sgd).batch_size(8).epochs(1).clip_norm(1e6).logger(noted.clone());
    if let Some(penalty) = penalty {
        trainer = trainer.callback(penalty);
    }
    trainer.fit(&train, |batch, mode| setup.loss(batch, mode))?;
    let lines = noted.lines.borrow();
    let norm = lines[0].1.iter().find(|(name, _)| name == "grad_norm").unwrap().1;
    Ok((setup.state(), norm))
}

#[test]
fn a_penalty_is_part_of_the_gradient() {
    let first = Setup::plain().state();
    let (plain, norm) = stepped(None).unwrap();
    let (l1, l2) = (0.25, 0.5);
    let (all, norm_of_all) = stepped(Some(Penalty::new("*", l1, l2))).unwrap();
    let (weights, _) = stepped(Some(Penalty::new("*.weight", l1, l2))).unwrap();
    for (name, (_, first)) in &first.tensors {
        for (i, w) in first.iter().enumerate() {
            let pull = 0.5 * (l1 * w.signum() + l2 * w);
            let [plain, all, weights] = [&plain, &all, &weights].map(|state| state.tensors[name].1[i]);
            assert!((plain - pull - all).abs() < 1e-6, "{name} {i}: {plain} - {pull}, and {all}");
            let some = if name.ends_with("weight") { all } else { plain };
            assert_eq!(weights, some, "{name} {i}");
        }
    }
    assert!((norm - norm_of_all).abs() > 0.01, "{norm} {norm_of_all}: it comes before clipping");
    for refused in [Penalty::new("nothing.*", l1, l2), Penalty::new("*", f32::NAN, 0.0)] {
        let error = stepped(Some(refused)).unwrap_err();
        assert!(error.to_string().contains("add_penalty"), "{error}");
    }
}

/// Three epochs of two steps; a run of `most` steps stops within one.
fn counted(folder: &std::path::Path, most: Option<u64>) -> (Setup, History) {
    let setup = Setup::plain();
    let (train, valid) = (rows(&setup.gpu, 8), rows(&setup.gpu, 7));
    let mut trainer = setup.trainer(setup.sgd()).batch_size(4).epochs(3).max_steps(most).validate(&valid);
    trainer = trainer.confusion(Outputs::Logits, 0.5);
    trainer = trainer.callback(Checkpoints::in_folder(folder).resume(true));
    let history = trainer.fit(&train, |batch, mode| setup.loss(batch, mode)).unwrap();
    (setup, history)
}

#[test]
fn a_history_keeps_each_epochs_confusion_matrix() {
    let [whole, parts] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (setup, history) = counted(whole.path(), None);
    let mut counts = ClassCounts::new(Outputs::Logits, 0.5);
    let valid = rows(&setup.gpu, 7);
    let batch = wgrad_data::Batches::batch(&valid, 0, 7).unwrap();
    let output = setup.model.forward(&batch.x, wgrad_nn::Mode::Eval).unwrap();
    counts.update(&output, &batch.y).unwrap();
    let last = counts.take().unwrap();
    assert_eq!(history.epochs[2].confusion, last);
    assert!(history.epochs.iter().all(|epoch| epoch.confusion.as_ref().is_some_and(|c| c.total() == 7)));
    assert_eq!(history.epochs[0].names().collect::<Vec<_>>(), ["train_loss", "val_loss", "lr", "seconds"]);

    counted(parts.path(), Some(3));
    let (_, resumed) = counted(parts.path(), None);
    let matrices = |history: &History| history.epochs.iter().map(|e| e.confusion.clone()).collect::<Vec<_>>();
    assert_eq!(matrices(&resumed), matrices(&history), "checkpoints keep those of the epochs before");

    let json: serde_json::Value = serde_json::from_str(&history.to_json()).unwrap();
    let rows: Vec<Vec<u64>> = last.unwrap().rows().map(<[u64]>::to_vec).collect();
    assert_eq!(json["epochs"][2]["val_confusion"], serde_json::json!(rows));

    let mut without = setup.trainer(setup.sgd()).confusion(Outputs::Logits, 0.5);
    let error = without.fit(&valid, |batch, mode| setup.loss(batch, mode)).unwrap_err();
    assert!(matches!(&error, Error::Usage(_)) && error.to_string().contains("validation"), "{error}");
}
