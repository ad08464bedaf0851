//! A multilayer perceptron, 784-256-128-10, names handwritten digits, or drawn figures where no files are at hand.
//!
//!     cargo run --release --example mlp -- --data DIR
//!
//! DIR holds MNIST's idx files (or Fashion-MNIST's), plain or gzip. Without `--data` the images are the synthetic
//! set's, made grey and 28×28. Ends with exit code 2 for bad usage, 3 for bad data, 4 where the GPU cannot do it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use wgrad::Gpu;
use wgrad::data::{DeviceImages, Normalize, Split, mnist, synthetic};
use wgrad::nn::models::{Mlp, MlpOptions};
use wgrad::nn::{self, Adam, AdamOptions};
use wgrad::train::{Interrupt, Options, Result, Task, fit};

#[derive(Parser)]
#[command(about = "Trains a multilayer perceptron on 28x28 grey images")]
struct Args {
    /// Folder with MNIST's idx files; without it the synthetic set is used
    #[arg(long)]
    data: Option<PathBuf>,
    /// Passes over the training images
    #[arg(long, default_value_t = 5)]
    epochs: usize,
    /// Stop after this many steps of 64 images
    #[arg(long)]
    steps: Option<u64>,
}

fn images(folder: Option<PathBuf>) -> Result<Split> {
    if let Some(folder) = folder {
        return Ok(mnist::load(&folder)?);
    }
    println!("no --data: training on the synthetic set");
    let Split { train, test } = synthetic::split(8000, 1000, 0);
    Ok(Split { train: train.to_grey_28()?, test: test.to_grey_28()? })
}

fn train(args: Args) -> Result<()> {
    // Files are checked before a device is taken.
    let split = images(args.data)?;
    let gpu = Gpu::new()?;
    let train = DeviceImages::new(&gpu, &split.train)?;
    let test = DeviceImages::new(&gpu, &split.test)?;

    let (model, parameters) = nn::build(&gpu, 0, |b| Mlp::new(b, &MlpOptions::default()))?;
    let mut adam = Adam::new(&parameters, AdamOptions { lr: 1e-3, ..Default::default() })?;

    let task =
        Task { model: &model, parameters: &parameters, optimizer: &mut adam, train: &train, test: &test };
    let options = Options {
        epochs: args.epochs,
        batch_size: 64,
        max_steps: args.steps,
        normalize: Normalize { mean: 0.5, std: 0.5 }, // Bytes 0 to 255 become -1 to 1.
        ..Default::default()
    };
    let outcome = fit(task, &options, &Interrupt::on_ctrl_c())?;
    let accuracy = wgrad::train::accuracy(&model, &test, 64, options.normalize)?;
    println!("{} steps, test accuracy {:.2}%", outcome.steps, 100.0 * accuracy);
    Ok(())
}

fn main() -> ExitCode {
    match train(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
