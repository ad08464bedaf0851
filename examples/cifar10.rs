//! Trains a small CNN on CIFAR-10, from the image bytes to a saved model, on any adapter wgpu finds.
//!
//!     cargo run --release --example cifar10 -- --data DIR
//!
//! Without `--data` it looks at `CIFAR10_DIR` and at the user's cache folder; where there is nothing it trains on
//! the embedded synthetic set. `--help` lists the flags.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use wgrad::data::{DeviceImages, Split, cifar10, synthetic};
use wgrad::nn::{
    Activation, Builder, Conv2d, Linear, MaxPool2d, Mode, Module, Sgd, SgdOptions, StateDict, file,
};
use wgrad::train::{Error, Interrupt, Options, Task, fit};
use wgrad::{Conv2dOptions, Gpu, Tensor};

/// Trains a CNN on CIFAR-10, or on a synthetic set where CIFAR-10 is not at hand.
#[derive(Parser)]
struct Flags {
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
    /// Images in a step
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,
    /// Learning rate
    #[arg(long, value_name = "X", default_value_t = 0.01)]
    lr: f64,
    /// Share of the velocity kept from step to step
    #[arg(long, value_name = "X", default_value_t = 0.9)]
    momentum: f64,
    /// Seed of the weights and of the images' order
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
    /// Keep a checkpoint in this folder
    #[arg(long, value_name = "DIR")]
    checkpoint: Option<PathBuf>,
    /// Continue from the checkpoint, if there is one
    #[arg(long, requires = "checkpoint")]
    resume: bool,
}

/// Two convolutions with ReLU and pooling, then one linear layer: 32×32 RGB to ten classes.
struct Cnn {
    conv1: Conv2d,
    conv2: Conv2d,
    fc: Linear,
    pool: MaxPool2d,
}

impl Cnn {
    fn new(builder: &Builder) -> Self {
        let same = Conv2dOptions { padding: [1, 1], ..Default::default() };
        Self {
            conv1: Conv2d::new(&builder.scope("conv1"), 3, 64, [3, 3], same),
            conv2: Conv2d::new(&builder.scope("conv2"), 64, 128, [3, 3], same),
            fc: Linear::new(&builder.scope("fc"), 128 * 8 * 8, 10),
            pool: MaxPool2d::new(2),
        }
    }
}

impl Module for Cnn {
    fn forward(&self, x: &Tensor, mode: Mode) -> wgrad::nn::Result<Tensor> {
        // ReLU keeps the order of values, so pooling first gives the same values and gradients to the bit, and
        // leaves ReLU a quarter of the work.
        let x = self.pool.forward(&self.conv1.forward(x, mode)?, mode)?;
        let x = Activation::Relu.forward(&x, mode)?;
        let x = self.pool.forward(&self.conv2.forward(&x, mode)?, mode)?;
        let x = Activation::Relu.forward(&x, mode)?;
        self.fc.forward(&x.flatten(1)?, mode)
    }
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
    match run(&flags) {
        Ok(code) => code,
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

fn run(flags: &Flags) -> Result<ExitCode, Error> {
    // What cannot work is found out before the first step.
    if let Some(path) = &flags.save {
        file::check_writable(path)?;
    }
    let (images, default_epochs) = load(flags)?;
    let gpu = Gpu::new()?;

    let builder = Builder::new(&gpu, flags.seed);
    let model = Cnn::new(&builder);
    let parameters = builder.finish()?;
    if let Some(path) = &flags.init {
        parameters.load_state_dict(&StateDict::load(path)?, &path.display().to_string())?;
    }
    let sgd = SgdOptions { lr: flags.lr, momentum: flags.momentum, ..Default::default() };
    let mut optimizer = Sgd::new(&parameters, sgd)?;
    say(&format!("{} parameters on {}", parameters.count(), gpu.info().name));

    let options = Options {
        epochs: flags.epochs.unwrap_or(default_epochs) as usize,
        batch_size: flags.batch_size as usize,
        seed: flags.seed,
        max_steps: flags.max_steps,
        shuffle: !flags.no_shuffle,
        metrics: flags.metrics.clone(),
        checkpoint: flags.checkpoint.clone(),
        resume: flags.resume,
        ..Default::default()
    };
    let task = Task {
        model: &model,
        parameters: &parameters,
        optimizer: &mut optimizer,
        train: &DeviceImages::new(&gpu, &images.train)?,
        test: &DeviceImages::new(&gpu, &images.test)?,
    };
    let outcome = fit(task, &options, &Interrupt::on_ctrl_c())?;
    if let Some(path) = &flags.save {
        parameters.state_dict()?.save(path)?;
        say(&format!("saved {}", path.display()));
    }
    if outcome.interrupted {
        eprintln!("interrupted after step {}", outcome.steps);
        return Ok(ExitCode::from(Interrupt::EXIT_CODE));
    }
    Ok(ExitCode::SUCCESS)
}

/// The images, and how many epochs suit them.
fn load(flags: &Flags) -> Result<(Split, u32), Error> {
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
            say(&format!("CIFAR-10 from {}", folder.display()));
            Ok((cifar10::load(folder)?, 10))
        }
        None => {
            say("CIFAR-10 was not found (--data DIR names it): a short run on the synthetic set instead");
            Ok((synthetic::split(6_000, 1_000, flags.seed), 3))
        }
    }
}
