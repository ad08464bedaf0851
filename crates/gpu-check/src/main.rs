//! Tests and measures wgrad on a GPU, on a machine with neither Rust nor a network. `ci/gpu pack DIR` puts this program
//! into a folder with the tests, the PyTorch twins and a script `run`:
//!
//! ```text
//! DIR/run OUT [PART…] [--any-adapter] [--short]
//! ci/gpu report OUT
//! ```
//!
//! The program that is started never touches the GPU: each part is a process of its own (this program again, the tests,
//! or Python), with a time limit, so that a driver that hangs or crashes takes one part with it and no more. What they
//! find goes to OUT/results.jsonl, a line each, as it comes.
//! Ends with exit code 0, 1 where a test failed or a part did not come to its end, 2 where there is nothing to run on.

mod bench;
mod environment;
mod error;
mod first_step;
mod kernels;
mod measure;
mod process;
mod profile;
mod records;
mod report;
mod run;
mod setup;
mod suite;
mod variants;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use error::{Error, Result};

#[derive(Parser)]
#[command(about = "Tests and measures wgrad on a GPU")]
struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the parts named, or all but variants
    Run(run::Options),
    /// Writes what a run found as Markdown
    Report(report::Options),
    /// A part: adapter, driver, limits and features
    #[command(hide = true)]
    Environment,
    /// A part: what the driver's compiler made of each kernel
    #[command(hide = true)]
    Kernels {
        /// Small models
        #[arg(long)]
        short: bool,
    },
    /// Measures what is named on standard input, a line each
    #[command(hide = true)]
    Measure {
        /// One run of each
        #[arg(long)]
        short: bool,
    },
    /// One training step in a new process
    #[command(hide = true)]
    FirstStep {
        /// `step cnn 64`, as for measure
        model: Vec<String>,
    },
    /// A part: a trace of a training step of each model
    #[command(hide = true)]
    Profile {
        /// Where the traces go
        out: PathBuf,
        /// Small models
        #[arg(long)]
        short: bool,
    },
}

fn main() -> ExitCode {
    let done = match Flags::parse().command {
        Command::Run(options) => run::run(&options),
        Command::Report(options) => report::run(&options),
        Command::Environment => environment::child(),
        Command::Kernels { short } => kernels::child(short),
        Command::Measure { short } => measure::serve(short),
        Command::FirstStep { model } => first_step::child(&model.join(" ")),
        Command::Profile { out, short } => profile::child(&out, short),
    };
    done.unwrap_or_else(|error| {
        eprintln!("gpu-check: {}", error.line());
        ExitCode::from(2)
    })
}
