//! Several ranks that train one model: against one rank with the whole batch, from run to run, resumed, and what goes wrong.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use wgrad_autograd::{BatchNormOptions, CrossEntropyOptions, Tensor};
use wgrad_data::{Batch, TensorBatches};
use wgrad_distributed::{Communicator, Error as RanksError, Solo, Thread, Threads, Wire};
use wgrad_nn::models::{Resnet9, Resnet9Options};
use wgrad_nn::{
    Activation, BatchNorm2d, BuildOptions, Builder, Conv2d, Flatten, Linear, Mode, OneCycle, Sequential,
    StateDict, build_with,
};
use wgrad_train::metrics::Outputs;
use wgrad_train::{
    Callback, Checkpoints, DataParallel, EarlyStopping, Ema, Error, Fit, History, Logger, NonFinite, Output,
    Penalty, Result, Trainer,
};

use crate::support::{Accuracy, Setup, figures, rows};

/// What `f` gives on each of `n` ranks, each with a device of its own.
fn on_each<T: Send>(n: usize, f: impl Fn(Thread) -> T + Sync) -> Vec<T> {
    Threads::run(Threads::with_timeout(n, Duration::from_secs(60)), f)
}

/// Takes down the loss of each step.
#[derive(Clone, Default)]
struct Losses(Rc<RefCell<Vec<f64>>>);

impl Logger for Losses {
    fn start(&mut self, _: u64) -> Result<()> {
        Ok(())
    }

    fn log(&mut self, _: u64, values: &[(&str, f64)]) -> Result<()> {
        self.0.borrow_mut().extend(values.iter().filter(|(name, _)| *name == "loss").map(|(_, loss)| *loss));
        Ok(())
    }
}

/// What came of a run on one rank.
#[derive(Clone, Debug)]
struct Came {
    losses: Vec<f64>,
    state: StateDict,
    history: History,
}

/// A run over so many rows.
fn train(
    setup: &Setup,
    count: usize,
    change: impl FnOnce(Trainer<'static>) -> Trainer<'static>,
    mut forward: impl FnMut(&Setup, &Batch, Mode) -> Result<Output>,
) -> Result<Came> {
    let (set, losses) = (rows(&setup.gpu, count), Losses::default());
    let valid = Box::leak(Box::new(rows(&setup.gpu, 7)));
    let trainer = setup.trainer(setup.adam()).validate(valid).metric(Accuracy).logger(losses.clone());
    let history = change(trainer).fit(&set, |batch, mode| forward(setup, batch, mode))?;
    let losses = losses.0.borrow().clone();
    Ok(Came { losses, state: setup.state(), history })
}

fn plain(setup: &Setup, batch: &Batch, mode: Mode) -> Result<Output> {
    setup.loss(batch, mode)
}

fn bits(state: &StateDict) -> Vec<(String, Vec<u32>)> {
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect();
    state.tensors.iter().map(|(name, (_, values))| (name.clone(), bits(values))).collect()
}

fn assert_close(found: &[f64], expected: &[f64], most: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (step, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= most * b.abs(), "{what}, step {step}: {a}, not {b}");
    }
}

#[test]
fn ranks_make_the_steps_of_one_rank_with_the_whole_batch() {
    // 44 rows: the last step of an epoch has 8, which three ranks divide into 2, 3 and 3.
    // In one of them, the gradient of all ranks is penalised and clipped, not each one's.
    for (n, batch, accumulate, clip) in
        [(2, 6, 1, None), (3, 4, 1, Some(0.1)), (2, 3, 2, None), (4, 3, 1, None)]
    {
        let steps = |trainer: Trainer<'static>| {
            let trainer = trainer.epochs(8).max_steps(30);
            match clip {
                Some(most) => trainer.callback(Penalty::new("*", 0.01, 0.02)).clip_norm(most),
                None => trainer,
            }
            .confusion(Outputs::Logits, 0.5)
        };
        let whole = train(
            &Setup::plain(),
            44,
            |trainer| steps(trainer).batch_size(n * batch).accumulate(accumulate),
            plain,
        )
        .unwrap();
        assert_eq!(whole.losses.len(), 30);
        let run = || {
            on_each(n, |ranks| {
                let parallel = DataParallel::new(ranks).bucket_bytes(16);
                let change = move |trainer: Trainer<'static>| {
                    steps(trainer).batch_size(batch).accumulate(accumulate).parallel(parallel)
                };
                train(&Setup::plain(), 44, change, plain).unwrap()
            })
        };
        let what = format!("{n} ranks, {accumulate} batches a step");
        let (all, again) = (run(), run());
        assert_close(&all[0].losses, &whole.losses, 1e-5, &what);
        for (rank, came) in all.iter().enumerate() {
            assert_eq!(bits(&came.state), bits(&all[0].state), "{what}, rank {rank}");
            assert_eq!(figures(&came.history), figures(&all[0].history), "{what}, rank {rank}");
            assert_eq!(came.losses.is_empty(), rank > 0, "rank 0 logs");
            let (found, expected) = (came.history.last("val_accuracy"), whole.history.last("val_accuracy"));
            assert_eq!(found, expected, "{what}: each of the 7 rows counts once");
            let matrix = |came: &Came| came.history.epochs.last().and_then(|epoch| epoch.confusion.clone());
            assert!(matrix(came).is_some_and(|matrix| matrix.total() == 7));
            assert_eq!(matrix(came), matrix(&whole), "{what}, rank {rank}");
        }
        assert_eq!(bits(&again[0].state), bits(&all[0].state), "{what}: from run to run");
        assert_eq!(figures(&again[0].history), figures(&all[0].history));
    }
}

/// Losses and final weights of a model over images of 8×8 pixels and three channels.
fn images<M>(
    ranks: Option<Thread>,
    synchronizes: bool,
    batch: usize,
    make: impl FnOnce(&Builder) -> M,
    forward: impl Fn(&M, &Tensor, Mode) -> wgrad_nn::Result<Tensor>,
) -> (Vec<f64>, StateDict) {
    let gpu = crate::support::gpu();
    let ranks = ranks.map(|ranks| Arc::new(ranks) as Arc<dyn Communicator>);
    let synchronized = ranks.clone().filter(|_| synchronizes);
    let (model, params) =
        build_with(&gpu, 5, BuildOptions { synchronized, ..Default::default() }, make).unwrap();
    let (n, numel) = (36, 3 * 8 * 8);
    let y: Vec<i32> = (0..n as i32).map(|i| i % 10).collect();
    let x: Vec<f32> =
        (0..n * numel).map(|i| (i * 7919 % 997) as f32 / 499.0 - 1.0 + y[i / numel] as f32 / 9.0).collect();
    let x = Tensor::from_slice(&gpu, &x, &[n, 3, 8, 8]).unwrap();
    let set = TensorBatches::new(&x, &Tensor::from_slice(&gpu, &y, &[n]).unwrap()).unwrap();
    let losses = Losses::default();
    let sgd = wgrad_nn::SgdOptions { lr: 0.01, momentum: 0.9, ..Default::default() };
    let sgd = wgrad_nn::Sgd::new(&params, sgd).unwrap();
    let trainer =
        Trainer::new(&params, sgd).progress(false).batch_size(batch).epochs(10).logger(losses.clone());
    let mut trainer = match ranks {
        Some(ranks) => trainer.parallel(DataParallel::over(ranks).bucket_bytes(1 << 12)),
        None => trainer,
    };
    trainer.fit(&set, |Batch { x, y }, mode| Ok(forward(&model, x, mode)?.cross_entropy(y, 0.0)?)).unwrap();
    (losses.0.take(), params.state_dict().unwrap())
}

#[test]
fn convolutions_and_batch_norm_over_all_ranks_train_as_on_one() {
    let net = |b: &Builder| Resnet9::new(b, Resnet9Options { channels: 3, width: 2, classes: 10 });
    let cnn = |b: &Builder| {
        let same = wgrad_autograd::Conv2dOptions { padding: [1, 1], ..Default::default() };
        Sequential::new(b)
            .with(move |b| Conv2d::new(b, 3, 8, [3, 3], same))
            .with(|_| Activation::Relu)
            .with(|_| Flatten)
            .with(|b| Linear::new(b, 8 * 8 * 8, 10))
    };
    let whole = images(None, false, 12, cnn, |model, x, mode| model.forward(x, mode));
    let all = on_each(2, |ranks| images(Some(ranks), false, 6, cnn, |model, x, mode| model.forward(x, mode)));
    assert_eq!(whole.0.len(), 30);
    assert_close(&all[0].0, &whole.0, 1e-5, "convolutions");
    let whole = images(None, false, 12, net, |model, x, mode| model.forward(x, mode));
    for n in [2, 3] {
        let run = || {
            on_each(n, |ranks| {
                images(Some(ranks), true, 12 / n, net, |model, x, mode| model.forward(x, mode))
            })
        };
        let (all, again) = (run(), run());
        assert_close(&all[0].0, &whole.0, 1e-5, "batch norm over all ranks");
        assert!(all.iter().all(|(_, state)| bits(state) == bits(&all[0].1)), "buffers too");
        assert_eq!(bits(&again[0].1), bits(&all[0].1), "from run to run");
    }
}

#[test]
fn a_single_rank_is_the_run_without_ranks_to_the_bit() {
    let alone = train(&Setup::new(), 22, |trainer| trainer.batch_size(5).epochs(2), plain).unwrap();
    let parallel = |ranks| {
        move |trainer: Trainer<'static>| trainer.batch_size(5).epochs(2).parallel(DataParallel::new(ranks))
    };
    let ranks = Threads::new(1).remove(0);
    let one = train(&Setup::new(), 22, parallel(ranks), plain).unwrap();
    assert_eq!(bits(&one.state), bits(&alone.state));
    assert_eq!(figures(&one.history), figures(&alone.history));
}

#[test]
fn ranks_count_by_what_their_losses_count() {
    // Every third row counts for nothing, so ranks have other numbers of terms.
    let forward = |setup: &Setup, batch: &Batch, mode: Mode| {
        let labels = batch.y.to_vec_as::<i32>()?;
        let x = batch.x.to_vec()?;
        let ignored = |i: usize| (x[4 * i] * 50.0).round() as i32 % 3 == 0;
        let kept: Vec<i32> =
            labels.iter().enumerate().map(|(i, &y)| if ignored(i) { -100 } else { y }).collect();
        let terms = kept.iter().filter(|y| **y >= 0).count();
        let y = setup.model.forward(&batch.x, mode)?;
        let targets = Tensor::from_slice(&setup.gpu, &kept, &[kept.len()])?;
        let options = CrossEntropyOptions { ignore_index: Some(-100), ..Default::default() };
        let loss = y.cross_entropy_with(&targets, options)?;
        Ok(Output::new(loss).judged(y, &batch.y).counted(terms as f64))
    };
    let whole = train(&Setup::plain(), 45, |trainer| trainer.batch_size(12).epochs(3), forward).unwrap();
    for accumulate in [1, 2] {
        let all = on_each(3, |ranks| {
            let parallel = DataParallel::new(ranks);
            let change = move |trainer: Trainer<'static>| {
                trainer.batch_size(4 / accumulate).accumulate(accumulate).epochs(3).parallel(parallel)
            };
            train(&Setup::plain(), 45, change, forward).unwrap()
        });
        assert_close(&all[0].losses, &whole.losses, 1e-5, "terms that count");
        assert_eq!(bits(&all[1].state), bits(&all[0].state));
    }
}

/// The loss of a batch in which, in the third step, the second half of all rows counts for nothing: all that rank 1 of two has.
fn half_ignored(rank: Option<usize>) -> impl FnMut(&Setup, &Batch, Mode) -> Result<Output> {
    let mut step = 0;
    move |setup: &Setup, batch: &Batch, mode: Mode| {
        let mut labels = batch.y.to_vec_as::<i32>()?;
        step += usize::from(mode == Mode::Train);
        if step == 3 && mode == Mode::Train {
            let first = rank.map_or(labels.len() / 2, |rank| if rank == 1 { 0 } else { labels.len() });
            labels[first..].fill(-100);
        }
        let terms = labels.iter().filter(|label| **label >= 0).count();
        let y = setup.model.forward(&batch.x, mode)?;
        let targets = Tensor::from_slice(&setup.gpu, &labels, &[labels.len()])?;
        let options = CrossEntropyOptions { ignore_index: Some(-100), ..Default::default() };
        let loss = y.cross_entropy_with(&targets, options)?;
        Ok(Output::new(loss).judged(y, &batch.y).counted(terms as f64))
    }
}

#[test]
fn a_loss_over_nothing_does_not_reach_other_ranks_by_what_batch_norm_sends() {
    // A mean that is a sum divided by a sum: 0 / 0, whose gradient is NaN times whatever.
    let of = |rank: Option<usize>| {
        let mut step = 0;
        move |setup: &Setup, batch: &Batch, mode: Mode| {
            let mut kept = vec![1.0; batch.y.numel()];
            step += usize::from(mode == Mode::Train);
            if step % 2 == 1 && mode == Mode::Train {
                let first = rank.map_or(kept.len() / 2, |rank| if rank == 1 { 0 } else { kept.len() });
                kept[first..].fill(0.0);
            }
            let terms = f64::from(kept.iter().sum::<f32>());
            let y = setup.model.forward(&batch.x, mode)?;
            let kept = Tensor::from_slice(&setup.gpu, &kept, &[kept.len()])?;
            let losses = y.mul(&y)?.mean(&[1])?;
            let loss = losses.mul(&kept)?.sum_all()?.div(&kept.sum_all()?)?;
            assert_eq!(loss.item()?.is_nan(), terms == 0.0, "the case that this is about");
            Ok(Output::new(loss).judged(y, &batch.y).counted(terms))
        }
    };
    // Ranks that step by themselves normalise together too.
    let all = on_each(2, |ranks| {
        let rank = ranks_of(&ranks);
        let ranks: Arc<dyn Communicator> = Arc::new(ranks);
        let (setup, parallel) =
            (synchronized(Arc::clone(&ranks)), DataParallel::over(ranks).average_every(2));
        let change = move |trainer: Trainer<'static>| trainer.batch_size(4).epochs(1).parallel(parallel);
        train(&setup, 40, change, of(Some(rank))).unwrap()
    });
    assert_eq!(bits(&all[1].state), bits(&all[0].state));
    assert_eq!(all[0].losses.len(), 5);
    for accumulate in [1, 2] {
        let change = |batch: usize| {
            move |trainer: Trainer<'static>| trainer.batch_size(batch).accumulate(accumulate).epochs(1)
        };
        let whole = train(&synchronized(Arc::new(Solo)), 40, change(8), of(None)).unwrap();
        let all = on_each(2, |ranks| {
            let rank = ranks_of(&ranks);
            let ranks: Arc<dyn Communicator> = Arc::new(ranks);
            let setup = synchronized(Arc::clone(&ranks));
            let parallel = DataParallel::over(ranks);
            let change = move |trainer| change(4)(trainer).parallel(parallel);
            train(&setup, 40, change, of(Some(rank))).unwrap()
        });
        assert_close(&all[0].losses, &whole.losses, 1e-5, "half the rows, or all");
        assert_eq!(bits(&all[1].state), bits(&all[0].state));
        assert!(
            all[0].state.tensors.values().all(|(_, values)| values.iter().all(|value| value.is_finite()))
        );
    }
}

#[test]
fn a_rank_on_which_nothing_counts_takes_part_all_the_same() {
    let whole =
        train(&Setup::plain(), 40, |trainer| trainer.batch_size(8).epochs(1), half_ignored(None)).unwrap();
    let run = |change: fn(DataParallel) -> DataParallel, setup: fn(Arc<dyn Communicator>) -> Setup| {
        on_each(2, |ranks| {
            let rank = ranks_of(&ranks);
            let ranks: Arc<dyn Communicator> = Arc::new(ranks);
            let setup = setup(Arc::clone(&ranks));
            let parallel = change(DataParallel::over(ranks).bucket_bytes(1));
            let change = move |trainer: Trainer<'static>| trainer.batch_size(4).epochs(1).parallel(parallel);
            train(&setup, 40, change, half_ignored(Some(rank))).unwrap()
        })
    };
    let all = run(|parallel| parallel, |_| Setup::plain());
    assert_close(&all[0].losses, &whole.losses, 1e-5, "a step of half the rows");
    assert_eq!(bits(&all[1].state), bits(&all[0].state));
    // Batch norm waits for all ranks in the backward pass too.
    let all = run(|parallel| parallel, synchronized);
    assert_eq!(all[0].losses.len(), 5);
    assert_eq!(bits(&all[1].state), bits(&all[0].state));
    // Ranks that step by themselves still step together.
    let all = run(|parallel| parallel.average_every(2), |_| Setup::plain());
    assert_eq!((all[0].history.steps, all[1].history.steps), (5, 5));
    assert_eq!(bits(&all[1].state), bits(&all[0].state));
}

/// A model with batch norm over all ranks.
fn synchronized(ranks: Arc<dyn Communicator>) -> Setup {
    let gpu = crate::support::gpu();
    let options = BuildOptions { synchronized: Some(ranks), ..Default::default() };
    let (model, params) = build_with(&gpu, 3, options, |b| {
        Sequential::new(b)
            .with(|b| BatchNorm2d::new(b, 1, BatchNormOptions::default()))
            .with(|_| Flatten)
            .with(|b| Linear::new(b, 4, 2))
    })
    .unwrap();
    Setup { gpu, model, params }
}

#[test]
fn a_step_that_one_rank_cannot_make_is_skipped_by_all() {
    for average in [false, true] {
        let all = on_each(2, |ranks| {
            let rank = ranks_of(&ranks);
            let mut step = 0;
            let forward = move |setup: &Setup, batch: &Batch, mode: Mode| {
                step += usize::from(mode == Mode::Train);
                let y = setup.model.forward(&batch.x, mode)?;
                let factor = if step == 2 && rank == 1 && mode == Mode::Train { f32::INFINITY } else { 1.0 };
                let loss = y.cross_entropy(&batch.y, 0.0)?.mul_add_scalar(factor, 0.0)?;
                Ok(Output::new(loss).judged(y, &batch.y))
            };
            let parallel = DataParallel::new(ranks);
            let parallel = if average { parallel.average_every(2) } else { parallel };
            let change = move |trainer: Trainer<'static>| {
                trainer.batch_size(4).epochs(1).non_finite(NonFinite::Skip).parallel(parallel)
            };
            train(&Setup::plain(), 40, change, forward).unwrap()
        });
        for came in &all {
            assert_eq!((came.history.steps, came.history.skipped), (4, 1), "averages: {average}");
            assert_eq!(bits(&came.state), bits(&all[0].state));
        }
    }
}

#[test]
fn validation_of_several_rows_a_sample_and_of_fewer_samples_than_ranks_counts_each_once() {
    // Two predictions a sample, and in a set of two samples one rank has none.
    let forward = |setup: &Setup, batch: &Batch, mode: Mode| {
        let y = setup.model.forward(&batch.x, mode)?;
        let loss = y.cross_entropy(&batch.y, 0.0)?;
        let twice =
            Tensor::stack(&[&y, &y.mul_add_scalar(-1.0, 0.0)?], 1)?.reshape(&[2 * y.shape()[0], 2])?;
        let targets = Tensor::stack(&[&batch.y, &batch.y], 1)?.reshape(&[2 * y.shape()[0]])?;
        Ok(Output::new(loss).judged(twice, &targets))
    };
    for samples in [2, 7] {
        let run = |parallel: DataParallel, batch: usize| {
            let setup = Setup::plain();
            let (set, valid) = (rows(&setup.gpu, 24), rows(&setup.gpu, samples));
            let mut trainer = setup
                .trainer(setup.adam())
                .validate(&valid)
                .metric(Accuracy)
                .train_metric(Accuracy)
                .batch_size(batch)
                .epochs(1)
                .parallel(parallel);
            let history = trainer.fit(&set, |batch, mode| forward(&setup, batch, mode)).unwrap();
            ["val_accuracy", "train_accuracy", "val_loss"].map(|figure| history.last(figure).unwrap())
        };
        let whole = run(DataParallel::new(Solo), 6);
        for found in on_each(3, |ranks| run(DataParallel::new(ranks), 2)) {
            assert_eq!(found[..2], whole[..2], "{samples} samples");
            assert!((found[2] - whole[2]).abs() < 1e-5 * whole[2], "{found:?}, not {whole:?}");
        }
    }
}

#[test]
fn half_precision_on_the_wire_trains_alike() {
    let steps = |trainer: Trainer<'static>| trainer.epochs(6).batch_size(4);
    let run = |wire| {
        on_each(2, |ranks| {
            let parallel = DataParallel::new(ranks).wire(wire);
            let change = move |trainer: Trainer<'static>| steps(trainer).parallel(parallel);
            train(&Setup::plain(), 44, change, plain).unwrap()
        })
    };
    let (exact, half) = (run(Wire::F32), run(Wire::F16));
    assert_ne!(bits(&half[0].state), bits(&exact[0].state), "gradients are rounded");
    assert_eq!(bits(&half[1].state), bits(&half[0].state), "in the same way on all ranks");
    assert_close(&half[0].losses, &exact[0].losses, 2e-3, "rounded gradients");
}

#[test]
fn averages_now_and_then_keep_ranks_together() {
    // Plain steps of size 0.1, averaged after each: the same as the step by the averaged gradient.
    let run = |every: Option<u64>| {
        on_each(2, |ranks| {
            let setup = Setup::plain();
            let (set, losses) = (rows(&setup.gpu, 40), Losses::default());
            let parallel = DataParallel::new(ranks);
            let parallel = every.map_or(parallel.clone(), |steps| parallel.average_every(steps));
            let sgd = wgrad_nn::SgdOptions { lr: 0.1, ..Default::default() };
            let sgd = wgrad_nn::Sgd::new(&setup.params, sgd).unwrap();
            let trainer =
                setup.trainer(sgd).epochs(3).batch_size(4).logger(losses.clone()).parallel(parallel);
            let mut trainer = trainer;
            trainer.fit(&set, |batch, mode| setup.loss(batch, mode)).unwrap();
            (losses.0.take(), setup.state())
        })
    };
    let (whole, each, rarely) = (run(None), run(Some(1)), run(Some(4)));
    assert_close(&each[0].0, &whole[0].0, 1e-5, "averaged after each step");
    assert_ne!(rarely[0].0, whole[0].0, "ranks go ways of their own");
    assert_close(&rarely[0].0, &whole[0].0, 0.05, "averaged after four steps");
    for came in [each, rarely] {
        assert_eq!(bits(&came[1].1), bits(&came[0].1), "they end alike");
    }
}

/// A run with all that has a state.
fn stateful(folder: &Path, ranks: Thread, most: Option<u64>, average: bool) -> Result<Came> {
    // Ranks need no folder in common.
    let folder = folder.join(format!("rank{}", ranks_of(&ranks)));
    let parallel = DataParallel::new(ranks);
    let parallel = if average { parallel.average_every(3) } else { parallel };
    let change = move |trainer: Trainer<'static>| {
        trainer
            .batch_size(3)
            .accumulate(2)
            .epochs(3)
            .max_steps(most)
            .schedule(OneCycle::new(0.02, 6).unwrap())
            .callback(EarlyStopping::on("val_loss").patience(2).restore_best())
            .callback(Checkpoints::in_folder(folder).resume(true).every_steps(2))
            .average(Ema::new(0.8))
            .parallel(parallel)
    };
    train(&Setup::new(), 22, change, plain)
}

fn ranks_of(ranks: &Thread) -> usize {
    wgrad_distributed::Communicator::rank(ranks)
}

#[test]
fn resumed_at_any_step_ranks_go_on_to_the_bit() {
    for average in [false, true] {
        let whole = tempfile::tempdir().unwrap();
        let whole = on_each(2, |ranks| stateful(whole.path(), ranks, None, average).unwrap());
        assert_eq!(whole[0].history.steps, 6);
        assert_eq!(bits(&whole[1].state), bits(&whole[0].state));
        for step in [2, 4, 6] {
            let folder = tempfile::tempdir().unwrap();
            on_each(2, |ranks| stateful(folder.path(), ranks, Some(step), average).unwrap());
            assert!(!folder.path().join("rank1").exists(), "rank 0 keeps the checkpoints");
            let resumed = on_each(2, |ranks| stateful(folder.path(), ranks, None, average).unwrap());
            for (rank, (found, whole)) in resumed.iter().zip(&whole).enumerate() {
                assert_eq!(bits(&found.state), bits(&whole.state), "rank {rank}, step {step}, {average}");
                assert_eq!(figures(&found.history), figures(&whole.history), "rank {rank}, step {step}");
            }
        }
    }
}

#[test]
fn an_optimizer_in_shares_is_the_whole_one_to_the_bit() {
    let run = |folder: Option<&Path>, shards: bool, most: Option<u64>| {
        on_each(2, |ranks| {
            let gpu = crate::support::gpu();
            let options = BuildOptions { flat_bytes: Some(256), ..Default::default() };
            let model = |b: &wgrad_nn::Builder| {
                Sequential::new(b)
                    .with(|_| Flatten)
                    .with(|b| Linear::new(b, 4, 9))
                    .with(|_| Activation::Relu)
                    .with(|b| Linear::new(b, 9, 2))
            };
            let (model, params) = build_with(&gpu, 3, options, model).unwrap();
            let setup = Setup { gpu, model, params };
            let parallel = DataParallel::new(ranks).shard_optimizer(shards);
            let checkpoints = folder.map(|folder| Checkpoints::in_folder(folder).every_steps(3).resume(true));
            let set = rows(&setup.gpu, 24);
            let mut adam = setup.adam();
            let trainer = setup.trainer(&mut adam).batch_size(4).epochs(3).max_steps(most).parallel(parallel);
            let mut trainer = match checkpoints {
                Some(checkpoints) => trainer.callback(checkpoints),
                None => trainer,
            };
            trainer.fit(&set, |batch, mode| setup.loss(batch, mode)).unwrap();
            (setup.state(), trainer.optimizer().state().bytes())
        })
    };
    let (whole, shared) = (run(None, false, None), run(None, true, None));
    for (rank, (state, _)) in shared.iter().enumerate() {
        assert_eq!(bits(state), bits(&whole[0].0), "rank {rank}");
    }
    let bytes = shared[0].1 + shared[1].1;
    assert!(
        bytes == whole[0].1 && shared[0].1 <= bytes * 2 / 3,
        "{} and {} of {bytes}",
        shared[0].1,
        shared[1].1
    );
    let folder = tempfile::tempdir().unwrap();
    run(Some(folder.path()), true, Some(3));
    let resumed = run(Some(folder.path()), true, None);
    assert_eq!(bits(&resumed[1].0), bits(&whole[0].0), "resumed");
}

#[test]
fn ranks_begin_and_average_from_the_weights_of_rank_0() {
    let all = on_each(2, |ranks| {
        let setup = Setup::plain();
        if ranks_of(&ranks) == 1 {
            setup.params.reinit("*", wgrad_nn::Init::Constant(0.5), 0).unwrap();
        }
        let change = move |trainer: Trainer<'static>| {
            trainer.batch_size(4).epochs(2).average(Ema::new(0.9)).parallel(DataParallel::new(ranks))
        };
        train(&setup, 24, change, plain).unwrap()
    });
    let alone =
        train(&Setup::plain(), 24, |trainer| trainer.batch_size(8).epochs(2).average(Ema::new(0.9)), plain)
            .unwrap();
    assert_eq!(bits(&all[1].state), bits(&all[0].state));
    assert_close(&all[0].losses, &alone.losses, 1e-5, "the weights of rank 0");
}

#[test]
fn ranks_drop_elements_of_their_own() {
    let masks = on_each(2, |ranks| {
        let (setup, rank) = (Setup::new(), ranks_of(&ranks));
        let mut seen = Vec::new();
        let mut once = |setup: &Setup, batch: &Batch, mode: Mode| {
            // The same rows on both ranks.
            let x = Tensor::full(&setup.gpu, &[2, 1, 2, 2], 0.5)?;
            let y = setup.model.forward(&x, mode)?;
            seen.push(y.to_vec()?);
            let targets = batch.y.narrow(0, 0, 1)?;
            Ok(Output::new(y.narrow(0, 0, 1)?.cross_entropy(&targets, 0.0)?).judged(y, &batch.y))
        };
        let set = rows(&setup.gpu, 4);
        let mut trainer =
            setup.trainer(setup.adam()).batch_size(2).epochs(1).parallel(DataParallel::new(ranks));
        trainer.fit(&set, |batch, mode| once(&setup, batch, mode)).unwrap();
        (rank, seen)
    });
    assert_ne!(masks[0].1[0], masks[1].1[0]);
}

/// Asks for the fit's end after a step, or changes a weight.
struct After<F>(u64, F);

impl<F: FnMut(&mut Fit)> Callback for After<F> {
    fn name(&self) -> &str {
        "after"
    }

    fn on_step_end(&mut self, fit: &mut Fit) -> Result<()> {
        if fit.step() == self.0 {
            (self.1)(fit);
        }
        Ok(())
    }
}

#[test]
fn all_ranks_end_where_one_of_them_asks_for_it() {
    let all = on_each(3, |ranks| {
        let is_asking = ranks_of(&ranks) == 2;
        let change = move |trainer: Trainer<'static>| {
            let ask = move |fit: &mut Fit| {
                if is_asking {
                    fit.stop("enough");
                }
            };
            trainer.batch_size(2).epochs(5).callback(After(4, ask)).parallel(DataParallel::new(ranks))
        };
        train(&Setup::plain(), 40, change, plain).unwrap()
    });
    assert!(all.iter().all(|came| came.history.steps == 4));
    assert_eq!(bits(&all[2].state), bits(&all[0].state));
}

#[test]
fn weights_that_drift_apart_are_noticed_and_their_rank_is_named() {
    let all = on_each(3, |ranks| {
        let is_off = ranks_of(&ranks) == 1;
        let change = move |trainer: Trainer<'static>| {
            let bend = move |fit: &mut Fit| {
                if is_off {
                    let flat = &fit.parameters().flats()[0];
                    let mut values = flat.to_vec().unwrap();
                    values[0] = f32::from_bits(values[0].to_bits() + 1);
                    flat.gpu().write(&flat.bind(), &values).unwrap();
                }
            };
            let parallel = DataParallel::new(ranks).check_every(5);
            trainer.batch_size(2).epochs(5).callback(After(7, bend)).parallel(parallel)
        };
        train(&Setup::plain(), 40, change, plain).unwrap_err().to_string()
    });
    for error in all {
        assert!(error.starts_with("rank 1: its weights are not those of rank 0 after step 10"), "{error}");
    }
}

#[test]
fn ranks_that_differ_are_refused_with_what_differs() {
    type Change = fn(Trainer<'static>, bool) -> Trainer<'static>;
    let cases: [(&str, usize, Change); 4] = [
        ("run", 22, |trainer, is_other| trainer.seed(u64::from(is_other))),
        ("run", 22, |trainer, is_other| trainer.batch_size(if is_other { 4 } else { 2 })),
        ("data", 23, |trainer, _| trainer),
        ("configuration", 22, |trainer, is_other| trainer.config(if is_other { "lr = 1" } else { "lr = 2" })),
    ];
    for (what, count, change) in cases {
        let errors = on_each(2, |ranks| {
            let is_other = ranks_of(&ranks) == 1;
            let count = if is_other { count } else { 22 };
            let parallel = DataParallel::new(ranks);
            let change = move |trainer: Trainer<'static>| change(trainer.parallel(parallel), is_other);
            train(&Setup::plain(), count, change, plain).unwrap_err().to_string()
        });
        assert_eq!(errors[0], errors[1]);
        let what = if count == 23 { "run" } else { what };
        let begin = format!("rank 1 was started with another {what} than rank 0: ");
        assert!(errors[0].starts_with(&begin), "{}", errors[0]);
    }
    let errors = on_each(2, |ranks| {
        let setup = if ranks_of(&ranks) == 1 { Setup::new() } else { Setup::plain() };
        let parallel = DataParallel::new(ranks);
        let change = move |trainer: Trainer<'static>| trainer.parallel(parallel);
        train(&setup, 22, change, plain).unwrap_err().to_string()
    });
    assert!(errors[0].starts_with("rank 1 was started with another model than rank 0: "), "{}", errors[0]);
}

#[test]
fn a_rank_that_fails_ends_the_others_and_is_named() {
    let errors = on_each(3, |ranks| {
        let is_failing = ranks_of(&ranks) == 2;
        let mut steps = 0;
        let forward = move |setup: &Setup, batch: &Batch, mode: Mode| {
            steps += 1;
            if is_failing && steps == 3 {
                return Err(Error::Usage("a row of no sense".to_owned()));
            }
            plain(setup, batch, mode)
        };
        let change =
            move |trainer: Trainer<'static>| trainer.batch_size(2).parallel(DataParallel::new(ranks));
        train(&Setup::plain(), 40, change, forward).unwrap_err()
    });
    assert_eq!(errors[2].to_string(), "a row of no sense");
    for error in &errors[..2] {
        assert!(matches!(error, Error::Ranks(RanksError::Gone { rank: 2, .. })), "{error}");
    }
}

#[test]
fn more_ranks_than_rows_are_refused_and_a_few_left_rows_are_left_out() {
    let errors = on_each(3, |ranks| {
        let change = move |trainer: Trainer<'static>| trainer.parallel(DataParallel::new(ranks));
        train(&Setup::plain(), 2, change, plain).unwrap_err().to_string()
    });
    assert!(
        errors.iter().all(|error| error == "2 rows of training data for 3 ranks: each needs one at least")
    );
    // 14 rows: two steps of 6, and 2 that three ranks cannot divide.
    let all = on_each(3, |ranks| {
        let change = move |trainer: Trainer<'static>| {
            trainer.batch_size(2).epochs(2).parallel(DataParallel::new(ranks))
        };
        train(&Setup::plain(), 14, change, plain).unwrap()
    });
    assert_eq!(all[0].history.steps, 4);
}

#[test]
fn a_disk_that_is_full_on_rank_0_is_everybodys_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    // A file where the folder would be.
    std::fs::write(&path, "").unwrap();
    let errors = on_each(2, |ranks| {
        let path = path.clone();
        let change = move |trainer: Trainer<'static>| {
            trainer.callback(Checkpoints::in_folder(path)).parallel(DataParallel::new(ranks))
        };
        train(&Setup::plain(), 22, change, plain).unwrap_err().to_string()
    });
    assert_eq!(errors[1], format!("rank 0: {}", errors[0]));
}
