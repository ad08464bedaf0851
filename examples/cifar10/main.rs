//! Trains a small CNN or a residual net on CIFAR-10, from the image bytes to a saved model, on any adapter wgpu finds.
//!
//!     cargo run --release --example cifar10 -- --data DIR [--model resnet9]
//!
//! Without `--data` it looks at `CIFAR10_DIR` and at the user's cache folder; where there is nothing it trains on
//! the embedded synthetic set. `--help` lists the flags. Built with `--features mpi` and started by `mpirun -n 4`, four processes
//! train one model.

mod recipe;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use wgrad::Gpu;
use wgrad::data::{DeviceImages, Split, cifar10, synthetic};
use wgrad::distributed::{Communicator, fail, world};
use wgrad::nn::models::{Cnn, CnnOptions, Resnet9, Resnet9Options};
use wgrad::nn::{self, BuildOptions, Builder, Module, Sgd, StateDict, file};
use wgrad::train::{DataParallel, Error, Interrupt, Options, Task, fit};

use crate::recipe::{Model, Recipe, Schedule};

/// Trains a CNN or a residual net on CIFAR-10, or on a synthetic set where CIFAR-10 is not at hand.
#[derive(Parser)]
struct Flags {
    /// What is trained; it decides the defaults of the flags below
    #[arg(long, value_name = "NAME", default_value = "cnn")]
    model: Model,
    /// Channels of resnet9's first convolution; the last ones have eight times as many (resnet9: 16)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    width: Option<u32>,
    /// Folder of the CIFAR-10 binary files (default: CIFAR10_DIR, then the user's cache folder)
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Fetch the official archive into the cache folder
    #[cfg(feature = "download")]
    #[arg(long)]
    download: bool,
    /// Passes over the training set (default: 10; 3 on the synthetic set)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,
    /// Images in a step (cnn: 64, resnet9: 256)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: Option<u32>,
    /// Learning rate, or its peak (cnn: 0.01, resnet9: 0.3)
    #[arg(long, value_name = "X")]
    lr: Option<f64>,
    /// Share of the velocity kept from step to step (0.9)
    #[arg(long, value_name = "X")]
    momentum: Option<f64>,
    /// Whether the momentum is Nesterov's (cnn: false, resnet9: true)
    #[arg(long, value_name = "BOOL")]
    nesterov: Option<bool>,
    /// L2 penalty on all parameters (cnn: 0, resnet9: 5e-4)
    #[arg(long, value_name = "X")]
    weight_decay: Option<f64>,
    /// Share of the target given to all classes alike (cnn: 0, resnet9: 0.1)
    #[arg(long, value_name = "X")]
    label_smoothing: Option<f32>,
    /// Learning rate over the run: constant, or one-cycle, a quarter of the run rising (cnn: constant, resnet9: one-cycle)
    #[arg(long, value_name = "NAME")]
    schedule: Option<Schedule>,
    /// Whether training images are shifted by up to 4 pixels and mirrored at random (cnn: false, resnet9: true)
    #[arg(long, value_name = "BOOL")]
    augment: Option<bool>,
    /// Seed of the weights, of the images' order and of what happens to them
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Stop after this many steps
    #[arg(long, value_name = "N")]
    max_steps: Option<u64>,
    /// Take the images in the files' order
    #[arg(long)]
    no_shuffle: bool,
    /// Start from these weights
    #[arg(long, value_name = "FILE.safetensors")]
    init: Option<PathBuf>,
    /// Write the trained weights here
    #[arg(long, value_name = "FILE.safetensors")]
    save: Option<PathBuf>,
    /// Write each step's loss and each epoch's figures here, one JSON object a line
    #[arg(long, value_name = "FILE.jsonl")]
    metrics: Option<PathBuf>,
    /// Time every launch: a trace for Perfetto or Chrome's about:tracing here, and a table on standard output
    #[arg(long, value_name = "FILE.json")]
    profile: Option<PathBuf>,
    /// Keep a checkpoint in this folder
    #[arg(long, value_name = "DIR")]
    checkpoint: Option<PathBuf>,
    /// Continue from the checkpoint, if there is one
    #[arg(long, requires = "checkpoint")]
    resume: bool,
}

fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) if error.use_stderr() => {
            // Clap's first paragraph says what is wrong; its whole text would take half a screen.
            let text = error.to_string();
            let words: Vec<&str> = text.split("\n\n").take(1).flat_map(str::split_whitespace).collect();
            eprintln!("cifar10: {} (--help lists the flags)", words.join(" ").trim_start_matches("error: "));
            return ExitCode::from(2);
        }
        Err(help) => help.exit(),
    };
    let ranks = match world() {
        Ok(ranks) => ranks,
        Err(error) => return fail(None, "cifar10", &error, 2),
    };
    match run(&flags, &ranks) {
        Ok(code) => code,
        // What all ranks fail with alike is printed once.
        Err(error) if ranks.size() > 1 => fail(Some(&*ranks), "cifar10", &error, error.exit_code()),
        Err(error) => {
            eprintln!("cifar10: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Prints a line; a closed standard output is no reason to stop training.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn run(flags: &Flags, ranks: &Arc<dyn Communicator>) -> Result<ExitCode, Error> {
    let is_first = ranks.rank() == 0;
    // What cannot work is found out before the first step.
    if flags.model == Model::Cnn && flags.width.is_some() {
        return Err(Error::Usage("--width is for --model resnet9".to_owned()));
    }
    for path in flags.save.iter().chain(&flags.profile) {
        file::check_writable(path)?;
    }
    let mut recipe = Recipe::new(flags);
    let images = load(flags, &mut recipe, is_first)?;
    let parallel = DataParallel::over(Arc::clone(ranks));
    let schedule =
        recipe.schedule(parallel.batches(images.train.len(), recipe.batch_size as usize, false))?;
    let builder = Gpu::builder().nth(ranks.local().0);
    // What is missing on all ranks is said once.
    let gpu = if is_first { builder.build()? } else { builder.quiet().build()? };

    let make = |b: &Builder| -> Box<dyn Module> {
        match flags.model {
            Model::Cnn => Box::new(Cnn::new(b, &CnnOptions::default())),
            Model::Resnet9 => {
                let width = flags.width.unwrap_or(16) as usize;
                Box::new(Resnet9::new(b, Resnet9Options { width, ..Default::default() }))
            }
        }
    };
    // Batch norm of several ranks takes the batch of all of them.
    let synchronized = (ranks.size() > 1).then(|| Arc::clone(ranks));
    let options = BuildOptions { synchronized, ..Default::default() };
    let (model, parameters) = nn::build_with(&gpu, flags.seed, options, make)?;
    if let Some(path) = &flags.init {
        parameters.load_state_dict(&StateDict::load(path)?, &path.display().to_string())?;
    }
    let mut optimizer = Sgd::new(&parameters, recipe.sgd)?;
    match ranks.size() {
        1 => say(&format!("{} parameters on {}", parameters.count(), gpu.info().name)),
        n => say(&format!(
            "rank {} of {n}: {} parameters on {}",
            ranks.rank(),
            parameters.count(),
            gpu.info().name
        )),
    }

    let options = Options {
        epochs: recipe.epochs as usize,
        batch_size: recipe.batch_size as usize,
        seed: flags.seed,
        max_steps: flags.max_steps,
        shuffle: !flags.no_shuffle,
        label_smoothing: recipe.label_smoothing,
        augment: recipe.augment,
        schedule,
        metrics: flags.metrics.clone(),
        checkpoint: flags.checkpoint.clone(),
        resume: flags.resume,
        parallel: Some(parallel),
        ..Default::default()
    };
    let task = Task {
        model: &*model,
        parameters: &parameters,
        optimizer: &mut optimizer,
        train: &DeviceImages::new(&gpu, &images.train)?,
        test: &DeviceImages::new(&gpu, &images.test)?,
    };
    if flags.profile.is_some() {
        gpu.start_profile()?;
    }
    let outcome = fit(task, &options, &Interrupt::on_ctrl_c())?;
    let code = if outcome.interrupted { Interrupt::EXIT_CODE } else { 0 };
    if !is_first {
        return Ok(ExitCode::from(code));
    }
    say(&outcome.memory.to_string());
    if let Some(path) = &flags.profile {
        let profile = gpu.take_profile()?;
        file::write_atomic(path, profile.trace().as_bytes())?;
        say(&profile.table(&gpu.measure_roofline()?));
    }
    if let Some(path) = &flags.save {
        parameters.state_dict()?.save(path)?;
        say(&format!("saved {}", path.display()));
    }
    if outcome.interrupted {
        eprintln!("interrupted after step {}", outcome.steps);
    }
    Ok(ExitCode::from(code))
}

/// The images. The synthetic set takes fewer epochs than the recipe's.
fn load(flags: &Flags, recipe: &mut Recipe, is_first: bool) -> Result<Split, Error> {
    let cache = cifar10::cache_folder();
    #[cfg(feature = "download")]
    if let (true, Some(cache)) = (flags.download, &cache) {
        wgrad::data::download::cifar10(cache, |done, total| eprint!("\r{done} of {total} bytes"))?;
        eprintln!();
    }
    let variable = std::env::var_os(cifar10::VARIABLE);
    let source = cifar10::locate(flags.data.as_deref(), variable.as_deref(), cache.as_deref())?;
    match source.folder() {
        Some(folder) => {
            if is_first {
                say(&format!("CIFAR-10 from {}", folder.display()));
            }
            Ok(cifar10::load(folder)?)
        }
        None => {
            if is_first {
                say("CIFAR-10 was not found (--data DIR names it): a short run on the synthetic set instead");
            }
            recipe.epochs = flags.epochs.unwrap_or(3);
            Ok(synthetic::split(6_000, 1_000, flags.seed))
        }
    }
}
