//! `wgrad train`: from data to a model in a run folder.

use std::cell::OnceCell;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use wgrad::Gpu;
use wgrad::data::split::class_weights;
use wgrad::data::table::Targets;
use wgrad::data::{Augment, Batches as _, ChannelStats, tensors};
use wgrad::distributed::{Communicator, Wire, agree, all_gather_bytes, fail, world};
use wgrad::nn::BuildOptions;
use wgrad::train::logs::{Csv, Jsonl, TensorBoard};
use wgrad::train::{
    Checkpoints, CrossValidation, DataParallel, EarlyStopping, Ema, Ended, EpochRecord, History, Interrupt,
    LrFinder, Penalty, Swa, TimeLimit, Trainer,
};

use crate::architecture::Architecture;
use crate::args::Train;
use crate::commands::in_words;
use crate::commands::inspect::layers;
use crate::commands::lines::Lines;
use crate::commands::start::{CONFIG, MODEL, Resumed, prepare_folder, shared};
use crate::config::{Config, OptimizerName, ScheduleName, WireName};
use crate::dataset::Dataset;
use crate::learner::{Learner, OnDevice, Set};
use crate::model_file::Preprocessing;
use crate::optimizer;
use crate::output::{printable, say};
use crate::recipe::complete;
use crate::report::Content;
use crate::{Error, ModelFile, Result};

/// What is told of a validation that never came.
const NO_EPOCH: &str = "none, since no epoch was completed";

/// Checkpoints of a run, about: epochs of small models take less time than writing one.
const CHECKPOINTS: usize = 20;

/// Trains, where `mpirun` has started several of these together with them.
pub(crate) fn run(flags: &Train) -> Result<ExitCode> {
    let ranks = match world() {
        Ok(ranks) => ranks,
        Err(error) => return Ok(fail(None, "wgrad", &error, 2)),
    };
    match run_on(flags, &ranks) {
        // What all ranks fail with alike is printed once.
        Err(error) if ranks.size() > 1 => {
            Ok(fail(Some(&*ranks), "wgrad", &printable(&error.to_string()), error.exit_code()))
        }
        result => result,
    }
}

/// What the folds of a cross-validation share.
#[derive(Default)]
struct Shared {
    gpu: OnceCell<Gpu>,
    interrupt: OnceCell<Interrupt>,
}

fn run_on(flags: &Train, ranks: &Arc<dyn Communicator>) -> Result<ExitCode> {
    let config = shared(flags, &**ranks)?;
    match (config.folds, config.fold) {
        (Some(folds), None) if !flags.find_lr => each_fold(flags, &config, folds, ranks),
        _ => Ok(one(flags, config, ranks, &Shared::default())?.0),
    }
}

/// A run for each fold, in folders of their own, and how much they differ.
fn each_fold(
    flags: &Train,
    config: &Config,
    folds: usize,
    ranks: &Arc<dyn Communicator>,
) -> Result<ExitCode> {
    if folds < 2 {
        return Err(Error::usage(format!("folds = {folds}: at least two")));
    }
    let (shared, mut all) = (Shared::default(), CrossValidation::default());
    for fold in 1..=folds {
        let run = flags.run.join(format!("fold-{fold}"));
        let resume = flags.resume && run.join("checkpoints").exists();
        let flags = Train { run, resume, ..flags.clone() };
        if ranks.rank() == 0 && !flags.machines.json {
            say(&format!("fold {fold} of {folds}:"));
        }
        let (_, history) = one(&flags, Config { fold: Some(fold), ..config.clone() }, ranks, &shared)?;
        all.folds.push(history);
        let ended_whole = all.folds.iter().all(|history| history.ended != Ended::Interrupted);
        // It may have come too late for this fold. Ranks are to agree on it.
        let is_interrupted = shared.interrupt.get().is_some_and(Interrupt::is_set);
        let asked = all_gather_bytes(&**ranks, &[u8::from(is_interrupted)])?;
        if asked.iter().all(|asked| *asked == [0]) || fold == folds && ended_whole {
            continue;
        }
        if ranks.rank() == 0 && ended_whole {
            eprintln!(
                "wgrad: interrupted after fold {fold} of {folds}: the same line with --resume continues"
            );
        }
        return Ok(ExitCode::from(Interrupt::EXIT_CODE));
    }
    if ranks.rank() == 0 {
        tell_folds(&all, flags.machines.json);
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what the folds come to: mean and standard deviation of each figure.
fn tell_folds(all: &CrossValidation, json: bool) {
    let names = all.folds.iter().find_map(History::kept).into_iter().flat_map(EpochRecord::names);
    let judged = names.filter(|name| name.starts_with("val_"));
    let means: Vec<(&str, (f64, f64))> = judged.filter_map(|name| Some((name, all.mean(name)?))).collect();
    if json {
        let of = |which: fn(&(f64, f64)) -> f64| -> serde_json::Map<String, Value> {
            means.iter().map(|(name, mean)| ((*name).to_owned(), json!(which(mean)))).collect()
        };
        let (mean, deviation) = (of(|mean| mean.0), of(|mean| mean.1));
        say(&json!({ "folds": all.folds.len(), "mean": mean, "deviation": deviation }).to_string());
        return;
    }
    let words = means.iter().map(|(name, (mean, deviation))| {
        let of_one = in_words(name, *deviation);
        format!("{} ± {}", in_words(name, *mean), of_one.rsplit(' ').next().unwrap_or_default())
    });
    let words = words.collect::<Vec<_>>().join(", ");
    say(&format!(
        "validation over {} folds: {}",
        all.folds.len(),
        if words.is_empty() { NO_EPOCH } else { &words }
    ));
}

/// One run.
fn one(
    flags: &Train,
    config: Config,
    ranks: &Arc<dyn Communicator>,
    shared: &Shared,
) -> Result<(ExitCode, History)> {
    let is_first = ranks.rank() == 0;
    let dataset = Dataset::load(&config, ranks.local().1)?;
    let config = complete(config, &dataset)?;
    let architecture = config.architecture()?;
    optimizer::check(&config)?;
    if flags.find_lr && ranks.size() > 1 {
        return Err(Error::usage("--find-lr: one process looks for a rate; leave mpirun out"));
    }
    if is_first {
        if !flags.find_lr {
            prepare_folder(flags, &config)?;
        }
        if !flags.machines.json {
            say(dataset.about());
            say(&format!("{architecture}; {}", how(&config)));
        }
    }
    let gpu = match shared.gpu.get() {
        Some(gpu) => gpu.clone(),
        None => {
            let gpu = device(ranks, flags.machines.json)?;
            shared.gpu.get_or_init(|| gpu).clone()
        }
    };
    let data = preprocessing(&dataset)?;
    let options = build_options(&config, &architecture, ranks);
    let mut learner = Learner::new(&gpu, &architecture, &config, &data, options)?;
    if config.class_weights == Some(true) {
        let are_divided = ranks.size() > 1 || config.accumulate.is_some_and(|batches| batches > 1);
        learner.weigh_classes(&balanced(&dataset)?, are_divided)?;
    }
    let parts = OnDevice::both(&gpu, &dataset, &data)?;
    let run =
        Run { flags, config: &config, architecture: &architecture, learner: &learner, parts: &parts, ranks };
    if flags.find_lr {
        return Ok((run.find_lr()?, History::default()));
    }
    let history = run.fit(shared.interrupt.get_or_init(Interrupt::on_ctrl_c))?;
    if !is_first {
        let is_interrupted = history.ended == Ended::Interrupted;
        let code = if is_interrupted { ExitCode::from(Interrupt::EXIT_CODE) } else { ExitCode::SUCCESS };
        return Ok((code, history));
    }
    let model = ModelFile {
        architecture: architecture.clone(),
        data,
        loss: config.of_loss(),
        state: learner.parameters.state_dict()?,
    };
    let path = flags.run.join(MODEL);
    model.save(&path)?;
    let content = Content {
        gpu: &gpu,
        folder: &flags.run,
        config: &config,
        architecture: &architecture,
        learner: &learner,
        dataset: &dataset,
        valid: &parts[1],
        history: &history,
    };
    content.write(&layers(&architecture, &architecture.summary()))?;
    let code = run.end(&history, &path)?;
    Ok((code, history))
}

/// This rank's device. Ranks of one machine share its adapters evenly, and rank 0 says which each has taken.
fn device(ranks: &Arc<dyn Communicator>, json: bool) -> Result<Gpu> {
    let (place, _) = ranks.local();
    let builder = Gpu::builder().nth(place);
    let gpu = if ranks.rank() == 0 { builder.build() } else { builder.quiet().build() };
    let gpu = agree(&**ranks, gpu.map_err(Error::from))?;
    if ranks.size() == 1 {
        return Ok(gpu);
    }
    let all = all_gather_bytes(&**ranks, gpu.info().name.as_bytes())?;
    for (rank, name) in all.iter().enumerate().filter(|_| ranks.rank() == 0 && !json) {
        say(&format!("rank {rank} of {}: {}", ranks.size(), String::from_utf8_lossy(name)));
    }
    Ok(gpu)
}

/// How the model is built for these ranks.
fn build_options(
    config: &Config,
    architecture: &Architecture,
    ranks: &Arc<dyn Communicator>,
) -> BuildOptions {
    let synchronizes = config.sync_batch_norm == Some(true) && ranks.size() > 1;
    let shards = config.shard_optimizer == Some(true) && ranks.size() > 1;
    // Two flat buffers for each rank, about: fewer could not be divided evenly.
    let bytes = architecture.summary().parameters * 4 / (2 * ranks.size() as u64);
    BuildOptions {
        synchronized: synchronizes.then(|| Arc::clone(ranks)),
        flat_bytes: shards.then_some(bytes),
    }
}

/// The recipe in words.
fn how(config: &Config) -> String {
    let optimizer = config.optimizer.unwrap_or(OptimizerName::Adam).word();
    let cycle = match config.schedule {
        Some(ScheduleName::OneCycle) => ", one cycle",
        Some(ScheduleName::Cosine) => ", falling by a cosine",
        Some(ScheduleName::CosineRestarts) => ", falling by a cosine again and again",
        Some(ScheduleName::Linear) => ", falling in a straight line",
        Some(ScheduleName::Polynomial) => ", falling by a power",
        Some(ScheduleName::Step | ScheduleName::MultiStep) => ", falling in steps",
        Some(ScheduleName::Exponential) => ", falling in each epoch",
        Some(ScheduleName::OnPlateau) => ", less where validation no longer improves",
        _ => "",
    };
    let augment = if config.augment == Some(true) { ", images shifted and mirrored" } else { "" };
    let until = config.patience.map(|epochs| format!(", or until {epochs} bring no lower validation loss"));
    format!(
        "{optimizer} with lr {}{cycle}{augment}, {} epochs in batches of {}{}",
        config.lr.unwrap_or_default(),
        config.epochs.unwrap_or_default(),
        config.batch_size.unwrap_or_default(),
        until.unwrap_or_default(),
    )
}

/// The factors by which all classes of the training part weigh alike.
fn balanced(dataset: &Dataset) -> Result<Vec<f32>> {
    let classes = dataset.classes().len();
    Ok(match dataset {
        Dataset::Images { train, .. } => class_weights(&train.labels(), classes)?,
        Dataset::Table { train, .. } => match &train.y {
            Targets::Classes(labels) => class_weights(labels, classes)?,
            Targets::Numbers(_) => vec![1.0; classes],
        },
        Dataset::Tensors { train, .. } => match &train.y {
            tensors::Targets::Classes(labels) => class_weights(labels, classes)?,
            tensors::Targets::Numbers(..) => vec![1.0; classes],
        },
    })
}

/// What the model's file says of the data.
fn preprocessing(dataset: &Dataset) -> Result<Preprocessing> {
    Ok(match dataset {
        Dataset::Images { train, .. } => {
            let ChannelStats { mean, std } = train.channel_stats()?;
            Preprocessing::Images { shape: train.shape(), mean, std, classes: train.classes().to_vec() }
        }
        Dataset::Table { schema, .. } => Preprocessing::Table { schema: schema.clone() },
        Dataset::Tensors { schema, .. } => Preprocessing::Tensors { schema: schema.clone() },
    })
}

/// A run with all that it takes.
struct Run<'a> {
    flags: &'a Train,
    config: &'a Config,
    architecture: &'a Architecture,
    learner: &'a Learner,
    parts: &'a [OnDevice; 2],
    ranks: &'a Arc<dyn Communicator>,
}

impl Run<'_> {
    fn fit(&self, interrupt: &Interrupt) -> Result<History> {
        let config = self.config;
        let (epochs, batch) = (config.epochs.unwrap_or(1), config.batch_size.unwrap_or(1));
        let (train, valid) = (self.train_set()?, self.parts[1].set(None)?);
        let (json, run) = (self.flags.machines.json, &self.flags.run);
        let is_first = self.ranks.rank() == 0;
        let is_quiet = json || config.print_every.is_some_and(|every| every > 1);
        let mut checkpoints = Checkpoints::in_folder(run.join("checkpoints")).resume(self.flags.resume);
        checkpoints = match config.checkpoint_steps {
            Some(steps) => checkpoints.every_steps(steps),
            None => checkpoints.every_epochs(epochs.div_ceil(CHECKPOINTS)),
        };
        if let Some(count) = config.keep_checkpoints {
            checkpoints = checkpoints.keep_last(count);
        }
        if let Some(figure) = &config.keep_best {
            checkpoints = checkpoints.keep_best(figure);
        }
        let accumulate = config.accumulate.unwrap_or(1);
        let drop_last = config.drop_last == Some(true);
        let parallel = self.parallel();
        let batches = parallel.batches(train.len(), batch, drop_last);
        let steps = epochs.saturating_mul(batches.div_ceil(accumulate)) as u64;
        let mut trainer = self
            .trainer()?
            .epochs(epochs)
            .accumulate(accumulate)
            .max_steps(config.max_steps)
            .config(config.to_toml())
            .interrupt(interrupt)
            .progress(!is_quiet)
            .parallel(parallel)
            .validate(&valid)
            .logger(Jsonl::new(run.join("metrics.jsonl")))
            .logger(Csv::new(run.join("metrics.csv")))
            .callback(checkpoints);
        for metric in self.learner.metrics(config.metrics.as_deref().unwrap_or_default())? {
            trainer = trainer.metric(metric);
            if config.train_metrics == Some(true) {
                trainer = trainer.train_metric(metric);
            }
        }
        if is_quiet && is_first {
            let (every, fold) = (config.print_every.unwrap_or(1), config.fold);
            trainer = trainer.callback(Lines { every, fold, json });
        }
        if self.flags.resume && is_first {
            trainer = trainer.callback(Resumed { path: run.join(CONFIG), text: config.to_toml() });
        }
        if self.flags.tensorboard {
            trainer = trainer.logger(TensorBoard::new(run.join("tensorboard")));
        }
        if let Some(schedule) = optimizer::schedule(config, steps)? {
            trainer = trainer.schedule(schedule);
        } else if let Some(plateau) = optimizer::plateau(config)? {
            trainer = trainer.reduce_on_plateau("val_loss", plateau);
        }
        if let Some(l1) = config.l1_penalty {
            trainer = trainer.callback(Penalty::new("*", l1, 0.0));
        }
        if let Some(decay) = config.ema {
            trainer = trainer.average(Ema::new(decay));
        }
        if let Some(first) = config.swa {
            trainer = trainer.average(Swa::from_epoch(first));
        }
        if let Some(patience) = config.patience {
            let stopping = EarlyStopping::on("val_loss").patience(patience).restore_best();
            trainer = trainer.callback(stopping.min_delta(config.min_delta.unwrap_or(0.0)));
        }
        if let Some(seconds) = config.time_limit {
            trainer = trainer.callback(TimeLimit::of(Duration::from_secs(seconds)));
        }
        Ok(trainer.fit(&train, |batch, mode| self.learner.forward(batch, mode))?)
    }

    /// The rows to train on, as steps see them.
    fn train_set(&self) -> Result<Set<'_>> {
        self.parts[0].set((self.config.augment == Some(true)).then(Augment::default))
    }

    /// What a step is, whether of a run or of a search for its rate.
    fn trainer<'t>(&self) -> Result<Trainer<'t>> {
        let config = self.config;
        let optimizer = optimizer::optimizer(config, &self.learner.parameters)?;
        let mut trainer = Trainer::new(&self.learner.parameters, optimizer)
            .batch_size(config.batch_size.unwrap_or(1))
            .drop_last(config.drop_last == Some(true))
            .seed(config.seed.unwrap_or(0));
        if let Some(most) = config.clip_norm {
            trainer = trainer.clip_norm(most);
        }
        if let Some(most) = config.clip_value {
            trainer = trainer.clip_value(most);
        }
        Ok(trainer)
    }

    /// Looks for a learning rate instead of training: every step's rate, its loss, and what they suggest.
    fn find_lr(&self) -> Result<ExitCode> {
        let train = self.train_set()?;
        let mut trainer = self.trainer()?;
        let found =
            trainer.find_lr(&train, LrFinder::default(), |batch, mode| self.learner.forward(batch, mode))?;
        let suggestion = found.suggestion();
        if self.flags.machines.json {
            say(&json!({ "points": found.points, "suggestion": suggestion }).to_string());
            return Ok(ExitCode::SUCCESS);
        }
        // Some twenty points show the course.
        for (lr, loss) in found.points.iter().step_by(found.points.len().div_ceil(20).max(1)) {
            say(&format!("lr {lr:.1e}  loss {loss:.4}"));
        }
        say(&match suggestion {
            Some(lr) => format!("the loss fell most steeply at {lr:.1e}: try --set lr={lr:.1e}"),
            None => "the loss never fell: another model or loss may be needed".to_owned(),
        });
        Ok(ExitCode::SUCCESS)
    }

    /// How ranks train together.
    fn parallel(&self) -> DataParallel {
        let wire = if self.config.wire == Some(WireName::F16) { Wire::F16 } else { Wire::F32 };
        let parallel = DataParallel::over(Arc::clone(self.ranks)).wire(wire);
        let parallel = parallel.shard_optimizer(self.config.shard_optimizer == Some(true));
        match self.config.average_every {
            Some(steps) => parallel.average_every(steps),
            None => parallel,
        }
    }

    /// Says what came out.
    fn end(&self, history: &History, model: &Path) -> Result<ExitCode> {
        let kept = history.kept();
        let figures = kept.map(|record| record.figures.clone()).unwrap_or_default();
        let resume = format!("wgrad train --resume --run {}", self.flags.run.display());
        let is_interrupted = history.ended == Ended::Interrupted;
        if self.flags.machines.json {
            let figures: serde_json::Map<String, Value> =
                figures.into_iter().map(|(name, value)| (name, json!(value))).collect();
            let mut value = json!({
                "run": self.flags.run.display().to_string(), "model": model.display().to_string(), "architecture": self.architecture, "steps": history.steps,
                "interrupted": is_interrupted, "epoch": kept.map(|record| record.epoch), "figures": figures,
            });
            if let Some(fold) = self.config.fold {
                value["fold"] = json!(fold);
            }
            say(&value.to_string());
        } else {
            let judged = figures.iter().filter(|(name, _)| name.starts_with("val_"));
            let judged: Vec<String> = judged.map(|(name, value)| in_words(name, *value)).collect();
            let words = if judged.is_empty() { NO_EPOCH.to_owned() } else { judged.join(", ") };
            let of = match (history.restored, kept) {
                (Some(epoch), _) => format!(" (epoch {epoch}, the best, whose weights the model has)"),
                (None, Some(record)) if record.step != history.steps => {
                    format!(" (epoch {}; the model has the weights of step {})", record.epoch, history.steps)
                }
                _ => String::new(),
            };
            say(&format!("validation: {words}{of}"));
            say(&format!("the model is {}", model.display()));
        }
        if is_interrupted {
            let message = format!("wgrad: interrupted after step {}: `{resume}` continues", history.steps);
            eprintln!("{}", printable(&message));
            return Ok(ExitCode::from(Interrupt::EXIT_CODE));
        }
        Ok(ExitCode::SUCCESS)
    }
}
