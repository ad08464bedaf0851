//! Checkpoints: exact resumption from any step, rotation, damaged files, locks, runs that are not to be mixed.

use std::path::Path;

use wgrad_nn::{OneCycle, PlateauOptions, ReduceOnPlateau, StateDict};
use wgrad_train::{Checkpoints, EarlyStopping, Ema, Error, Folder, History, Result, Swa, Trainer, averaged};

use crate::support::{Accuracy, Setup, Told, figures, rows};

/// A run with all that has a state: averages, a schedule, early stopping, dropout, batch norm, accumulation.
fn run<'a>(
    folder: &Path,
    most: Option<u64>,
    swa: bool,
    change: impl FnOnce(Trainer<'a>) -> Trainer<'a>,
) -> Result<(Setup, History)> {
    let setup = Setup::new();
    let (train, valid) = (rows(&setup.gpu, 22), Box::leak(Box::new(rows(&setup.gpu, 7))));
    if most.is_none() {
        // Zeros for weights: all that the run needs is in the checkpoint.
        if folder.join("run").exists() {
            let zeros = vec![0.0f32; setup.params.flats()[0].numel()];
            setup.gpu.write(&setup.params.flats()[0].bind(), &zeros).unwrap();
        }
    }
    let trainer = setup
        .trainer(setup.adam())
        .batch_size(3)
        .accumulate(2)
        .epochs(3)
        .max_steps(most)
        .schedule(OneCycle::new(0.02, 12).unwrap())
        .validate(valid)
        .metric(Accuracy)
        .callback(EarlyStopping::on("val_loss").patience(2).restore_best())
        .callback(Checkpoints::in_folder(folder.join("run")).resume(true).keep_best("val_accuracy"));
    let trainer = if swa { trainer.average(Swa::from_epoch(2)) } else { trainer.average(Ema::new(0.8)) };
    let history = change(trainer).fit(&train, |batch, mode| setup.loss(batch, mode))?;
    Ok((setup, history))
}

/// The newest checkpoint.
fn newest(folder: &Path) -> StateDict {
    let folder = Folder::new(folder.join("run"));
    let steps = folder.steps().unwrap();
    folder.load(*steps.last().unwrap()).unwrap()
}

/// What must not differ: all but times.
fn timeless(mut state: StateDict) -> StateDict {
    for key in ["wgrad.history", "wgrad.crc"] {
        state.metadata.remove(key);
    }
    state
}

#[test]
fn resumed_at_any_step_it_is_the_unbroken_run_to_the_bit() {
    for swa in [false, true] {
        let whole = tempfile::tempdir().unwrap();
        let (setup, history) = run(whole.path(), None, swa, |trainer| trainer).unwrap();
        assert_eq!((history.steps, history.epochs.len()), (12, 3));
        // Four steps an epoch, so that 4 and 8 are at the very end of one.
        for step in 1..=12 {
            let folder = tempfile::tempdir().unwrap();
            run(folder.path(), Some(step), swa, |trainer| trainer).unwrap();
            let (resumed, found) = run(folder.path(), None, swa, |trainer| trainer).unwrap();
            assert_eq!(resumed.state(), setup.state(), "resumed at step {step}");
            assert_eq!(figures(&found), figures(&history), "resumed at step {step}");
            assert_eq!((found.steps, &found.ended), (12, &history.ended));
            assert_eq!(timeless(newest(folder.path())), timeless(newest(whole.path())), "at step {step}");
        }
    }
}

/// A run whose rate falls after each epoch, from 0.1: no loss is better by more than its whole.
fn falling(folder: &Path, most: Option<u64>) -> (StateDict, History) {
    let setup = Setup::new();
    let (train, valid) = (rows(&setup.gpu, 6), rows(&setup.gpu, 4));
    let options = PlateauOptions { lr: 0.1, factor: 0.7, patience: 0, threshold: 1.0, ..Default::default() };
    let trainer = setup.trainer(setup.sgd()).batch_size(3).epochs(4).max_steps(most).validate(&valid);
    let mut trainer = trainer
        .reduce_on_plateau("val_loss", ReduceOnPlateau::new(options).unwrap())
        .callback(Checkpoints::in_folder(folder).resume(true));
    let history = trainer.fit(&train, |batch, mode| setup.loss(batch, mode)).unwrap();
    (setup.state(), history)
}

#[test]
fn a_rate_that_falls_by_a_figure_is_resumed_too() {
    let whole = tempfile::tempdir().unwrap();
    let (state, history) = falling(whole.path(), None);
    let rates = history.column("lr");
    assert!(rates[1..].windows(2).all(|pair| pair[1] < pair[0]), "{rates:?}");
    for step in 1..8 {
        let folder = tempfile::tempdir().unwrap();
        falling(folder.path(), Some(step));
        let (resumed, found) = falling(folder.path(), None);
        assert_eq!((&resumed, figures(&found)), (&state, figures(&history)), "resumed at step {step}");
    }
}

#[test]
fn a_checkpoint_has_both_sets_of_weights() {
    let folder = tempfile::tempdir().unwrap();
    let (setup, _) = run(folder.path(), None, false, |trainer| trainer.config("lr = 0.01")).unwrap();
    let state = newest(folder.path());
    assert_eq!(state.metadata["wgrad.config"], "lr = 0.01");
    let weights = averaged(&state);
    assert_ne!(weights.tensors["2.weight"], state.tensors["2.weight"]);
    setup.params.load_state_dict(&weights, "averaged").unwrap();

    // Without an average they are those of training.
    let plain = Setup::plain();
    let train = rows(&plain.gpu, 6);
    let checkpoints = Checkpoints::in_folder(folder.path().join("plain"));
    let mut trainer = plain.trainer(plain.sgd()).epochs(1).callback(checkpoints);
    trainer.fit(&train, |batch, mode| plain.loss(batch, mode)).unwrap();
    let state = Folder::new(folder.path().join("plain")).load(1).unwrap();
    assert_eq!(averaged(&state).tensors, plain.state().tensors);
}

/// The steps of the checkpoints that are left after epochs, of one step each, with these figures.
fn left(values: &[f64], checkpoints: impl FnOnce(Checkpoints) -> Checkpoints) -> (Vec<u64>, Option<String>) {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::plain();
    let (train, valid) = (rows(&setup.gpu, 6), rows(&setup.gpu, 2));
    let callback = checkpoints(Checkpoints::in_folder(folder.path()));
    setup
        .trainer(setup.sgd())
        .epochs(values.len())
        .validate(&valid)
        .metric(Told::new(values, true))
        .callback(callback)
        .fit(&train, |batch, mode| setup.loss(batch, mode))
        .unwrap();
    let best = Folder::new(folder.path()).best("val_told").unwrap();
    let best = best.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    (Folder::new(folder.path()).steps().unwrap(), best)
}

#[test]
fn the_newest_and_the_best_stay_by_number() {
    let rising: Vec<f64> = (0..12).map(f64::from).collect();
    // 9 is before 10 and 11.
    assert_eq!(left(&rising, |c| c.keep_last(3)).0, [10, 11, 12]);
    assert_eq!(left(&rising, |c| c.keep_last(0)).0, [12], "the newest stays");
    let values = [0.1, 0.9, f64::NAN, 0.9, 0.3, 0.2];
    let best = Some("checkpoint-2.safetensors".to_owned());
    assert_eq!(left(&values, |c| c.keep_last(1).keep_best("val_told")), (vec![2, 6], best.clone()));
    assert_eq!(left(&values, |c| c.keep_last(1).every_epochs(4).keep_best("val_told")), (vec![2, 6], best));
    assert_eq!(left(&rising, |c| c.keep_last(9).every_epochs(5)).0, [5, 10, 12]);
    assert_eq!(left(&rising, |c| c.keep_last(9).every_steps(7)).0, [7, 12]);
    assert_eq!(left(&[0.1; 3], |c| c.keep_last(9)), (vec![1, 2, 3], None));
}

/// A folder with checkpoints of steps 8 and 12, and the end of that run.
fn finished() -> (tempfile::TempDir, Setup, History) {
    let folder = tempfile::tempdir().unwrap();
    let (setup, history) = run(folder.path(), None, false, |trainer| trainer).unwrap();
    (folder, setup, history)
}

#[test]
fn a_damaged_newest_checkpoint_falls_back_to_the_one_before() {
    let (folder, setup, history) = finished();
    let place = Folder::new(folder.path().join("run"));
    let whole = std::fs::read(place.file(12)).unwrap();
    let mut flipped = whole.clone();
    let last = flipped.len() - 3;
    flipped[last] ^= 1;
    for bytes in [&whole[..whole.len() / 2], &flipped, b""] {
        std::fs::write(place.file(12), bytes).unwrap();
        let (resumed, found) = run(folder.path(), None, false, |trainer| trainer).unwrap();
        assert_eq!(resumed.state(), setup.state());
        assert_eq!(figures(&found), figures(&history));
        let said = found.messages.join("\n");
        assert!(said.contains("checkpoint-12.safetensors") && said.contains("the one before"), "{said}");
        let aside = folder.path().join("run/checkpoint-12.safetensors.damaged");
        assert_eq!(std::fs::read(aside).unwrap(), bytes);
        assert_eq!(place.steps().unwrap().last(), Some(&12));
    }
    // Where all are damaged, nothing is touched and the newest one's error is told.
    for step in place.steps().unwrap() {
        std::fs::write(place.file(step), b"nothing").unwrap();
    }
    let steps = place.steps().unwrap();
    let error = run(folder.path(), None, false, |trainer| trainer).err().unwrap();
    assert!(error.to_string().contains("checkpoint-12.safetensors"), "{error}");
    assert_eq!((error.exit_code(), place.steps().unwrap()), (3, steps));
}

#[test]
fn a_checkpoint_of_another_run_is_refused_and_changes_nothing() {
    let (folder, ..) = finished();
    let place = Folder::new(folder.path().join("run"));
    let bytes = std::fs::read(place.file(12)).unwrap();
    let refused = |change: &dyn Fn(Trainer<'static>) -> Trainer<'static>, parts: &[&str]| {
        let error = run(folder.path(), None, false, change).err().unwrap();
        assert_eq!(error.exit_code(), 3, "{error}");
        parts.iter().for_each(|part| assert!(error.to_string().contains(part), "no {part}: {error}"));
        assert_eq!(std::fs::read(place.file(12)).unwrap(), bytes);
    };
    refused(&|trainer| trainer.seed(7), &["another run", "seed 0", "this one is of seed 7"]);
    refused(&|trainer| trainer.accumulate(3), &["2 batches a step", "3 batches a step"]);
    refused(&|trainer| trainer.clip_norm(1.0), &["norms clipped to 1"]);
    refused(&|trainer| trainer.average(Ema::new(0.5)), &["moving average 0.8", "moving average 0.5"]);
    refused(&|trainer| trainer.schedule(OneCycle::new(0.02, 13).unwrap()), &["12 steps", "13 steps"]);

    // Another data set of as many rows, and another model.
    let setup = Setup::new();
    let before = setup.state();
    let x = wgrad_autograd::Tensor::full(&setup.gpu, &[22, 1, 2, 2], 0.5).unwrap();
    let y = wgrad_autograd::Tensor::from_slice(&setup.gpu, &[1; 22], &[22]).unwrap();
    let other = wgrad_data::TensorBatches::new(&x, &y).unwrap();
    let resume = || Checkpoints::in_folder(folder.path().join("run")).resume(true).keep_best("val_accuracy");
    let mut trainer = setup
        .trainer(setup.adam())
        .batch_size(3)
        .accumulate(2)
        .average(Ema::new(0.8))
        .schedule(OneCycle::new(0.02, 12).unwrap())
        .validate(&other)
        .metric(Accuracy)
        .callback(resume());
    let error = trainer.fit(&other, |batch, mode| setup.loss(batch, mode)).unwrap_err();
    assert!(error.to_string().contains("another data set"), "{error}");
    let plain = Setup::plain();
    let (train, weights) = (rows(&plain.gpu, 22), plain.state());
    let mut trainer = plain
        .trainer(plain.sgd())
        .batch_size(3)
        .accumulate(2)
        .average(Ema::new(0.8))
        .schedule(OneCycle::new(0.02, 12).unwrap())
        .validate(&train)
        .metric(Accuracy)
        .callback(resume());
    let error = trainer.fit(&train, |batch, mode| plain.loss(batch, mode)).unwrap_err();
    assert!(error.to_string().contains("does not fit this model"), "{error}");
    assert_eq!((setup.state(), plain.state()), (before, weights));
}

#[test]
fn a_folder_is_of_one_run_at_a_time() {
    let (folder, ..) = finished();
    let path = folder.path().join("run");
    let setup = Setup::plain();
    let train = rows(&setup.gpu, 6);
    let trainer = || setup.trainer(setup.sgd()).epochs(1);
    let error = trainer()
        .callback(Checkpoints::in_folder(&path))
        .fit(&train, |batch, mode| setup.loss(batch, mode))
        .unwrap_err();
    assert!(error.to_string().contains("checkpoints of a run here"), "{error}");

    let fresh = folder.path().join("fresh");
    let mut second = None;
    let other = Setup::plain();
    trainer()
        .callback(Checkpoints::in_folder(&fresh))
        .fit(&train, |batch, mode| {
            let mut trainer = other.trainer(other.sgd()).epochs(1);
            trainer = trainer.callback(Checkpoints::in_folder(&fresh).resume(true));
            second = trainer.fit(&rows(&other.gpu, 6), |batch, mode| other.loss(batch, mode)).err();
            setup.loss(batch, mode)
        })
        .unwrap();
    let error = second.unwrap();
    assert!(matches!(error, Error::Checkpoint { .. }), "{error}");
    assert!(error.to_string().contains("another run is under way"), "{error}");
    // Free again afterwards.
    let mut trainer = trainer().callback(Checkpoints::in_folder(&fresh).resume(true));
    trainer.fit(&train, |batch, mode| setup.loss(batch, mode)).unwrap();
}

/// What a killed run left unfinished goes, and a second folder is taken as the first is, with a best checkpoint of its own.
#[test]
fn a_run_that_goes_on_may_keep_checkpoints_in_a_second_folder() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), Some(6), false, |trainer| trainer).unwrap();
    let unfinished = folder.path().join("run/.wgrad-abc.part");
    std::fs::write(&unfinished, b"half").unwrap();
    let second = folder.path().join("second");
    let more = |trainer: Trainer<'static>| {
        trainer.callback(Checkpoints::in_folder(&second).resume(true).keep_best("val_loss"))
    };
    run(folder.path(), None, false, more).unwrap();
    assert!(!unfinished.exists());
    let best = Folder::new(&second).best("val_loss").unwrap().unwrap();
    assert!(best.starts_with(&second) && best.exists(), "{}", best.display());
}
