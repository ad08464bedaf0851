//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::config::Bytes;
use crate::output::printable;
use crate::{Result, commands, presets};

/// Trains models on tables and images, and uses them, on any GPU or without one.
#[derive(Parser)]
#[command(name = "wgrad", version, after_help = EXAMPLES)]
pub(crate) struct Flags {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  wgrad train xor                          a small program to begin with
  wgrad train --data photos                a folder of images, a folder for each class
  wgrad train --data wine.csv --target quality
  wgrad predict run/model.safetensors cat.png
  wgrad inspect resnet9                    layers, parameters and memory

Exit codes: 0 done, 1 failed, 2 usage, 3 data or files, 4 GPU, 130 interrupted.";

#[derive(Subcommand)]
enum Command {
    /// Trains a model: a preset, a configuration, or what suits the data
    Train(Train),
    /// Judges a model by labelled data
    Eval(Eval),
    /// Says what a model makes of images or of the rows of a table
    Predict(Predict),
    /// Shows a model's layers, shapes, parameters and costs; nothing is run
    Inspect(Inspect),
    /// Lists the adapters, and says which is taken and why
    Devices(Devices),
    /// Tensors in, tensors out: a model's output, and its gradients
    Run(Run),
    /// Prints a completion script for a shell
    Completions(Completions),
}

/// Machines.
#[derive(Args, Clone)]
pub(crate) struct Machines {
    /// Print JSON, for machines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Clone)]
#[command(after_help = TRAIN_EXAMPLES, after_long_help = train_help())]
pub(crate) struct Train {
    /// A preset's name, or a configuration (TOML)
    #[arg(value_name = "PRESET|CONFIG.toml", required_unless_present_any = ["data", "resume"])]
    pub(crate) what: Option<String>,
    /// A folder of images (a folder for each class), of CIFAR-10 or of idx files, a CSV file, or a safetensors file of x and y
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<PathBuf>,
    /// The column of a CSV file to predict
    #[arg(long, value_name = "COLUMN")]
    pub(crate) target: Option<String>,
    /// Change a key of the configuration; may be given often
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// The folder for the model, the figures and the checkpoints
    #[arg(long, value_name = "DIR", default_value = "run")]
    pub(crate) run: PathBuf,
    /// Continue the run in the folder
    #[arg(long)]
    pub(crate) resume: bool,
    /// Write event files for TensorBoard into the run folder
    #[arg(long)]
    pub(crate) tensorboard: bool,
    /// Look for a learning rate instead: up to 100 steps of a batch, whose rate grows, and where the loss falls most; nothing is kept
    #[arg(long, conflicts_with_all = ["resume", "tensorboard"])]
    pub(crate) find_lr: bool,
    #[command(flatten)]
    pub(crate) machines: Machines,
}

const TRAIN_EXAMPLES: &str = "\
Examples:
  wgrad train xor --set lr=0.1
  wgrad train --data /usr/share/datasets/fashion-mnist --run fashion
  wgrad train --data wine.csv --target quality --set hidden=[64,32]
  wgrad train run/config.toml --run again
  wgrad train --resume --run run

--help lists presets and keys.";

fn train_help() -> String {
    let presets = presets::ALL.iter().map(|(name, text)| format!("  {name:<18} {}\n", presets::about(text)));
    let keys = crate::config::KEYS.iter().map(|(key, about)| format!("  {key:<18} {}\n", about.trim()));
    let (presets, keys): (String, String) = (presets.collect(), keys.collect());
    format!(
        "{TRAIN_EXAMPLES}\n\nPresets:\n{presets}\nKeys of a configuration, for --set and in CONFIG.toml:\n{keys}"
    )
}

#[derive(Args)]
#[command(after_help = "Example:\n  wgrad eval run/model.safetensors --data photos/test")]
pub(crate) struct Eval {
    /// A model that `wgrad train` wrote
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// Labelled data of the kind it was trained on
    #[arg(long, value_name = "PATH")]
    pub(crate) data: PathBuf,
    /// What images may take on the device, such as 2GB: a larger set is streamed. As the key `memory` of `wgrad train`
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) memory: Option<Bytes>,
    /// Leave out pictures that cannot be read, and name them on standard error; without it, the first one ends the command
    #[arg(long)]
    pub(crate) skip_bad: bool,
    #[command(flatten)]
    pub(crate) machines: Machines,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  wgrad predict run/model.safetensors cat.png dog.jpg
  wgrad predict run/model.safetensors new.csv --json")]
pub(crate) struct Predict {
    /// A model that `wgrad train` wrote
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// Images of any size (PNG, JPEG), CSV files with the columns that the model was trained on, or safetensors files of x
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Leave out pictures that cannot be read, and name them on standard error; without it, the first one ends the command
    #[arg(long)]
    pub(crate) skip_bad: bool,
    #[command(flatten)]
    pub(crate) machines: Machines,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  wgrad inspect resnet9 --set width=64 --batch-size 512
  wgrad inspect run/model.safetensors --json")]
pub(crate) struct Inspect {
    /// A model file, a preset's name or a configuration
    #[arg(value_name = "MODEL|PRESET|CONFIG.toml")]
    pub(crate) model: String,
    /// Change a key of a preset or configuration; may be given often
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Rows in the step whose memory is told
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) batch_size: Option<u64>,
    #[command(flatten)]
    pub(crate) machines: Machines,
}

#[derive(Args)]
#[command(after_help = "\
WGPU_BACKEND (vulkan, metal, dx12, gl) and WGPU_ADAPTER_NAME (a part of the name) restrict the choice.

Example:
  wgrad devices --json")]
pub(crate) struct Devices {
    #[command(flatten)]
    pub(crate) machines: Machines,
}

#[derive(Args)]
#[command(after_help = "\
The input file holds x, and for --grad upstream, of the shape of the output. The output file gets y, and with --grad the
gradients of the sum of y times upstream: grad.x, and grad.NAME for each parameter.

Example:
  wgrad run mlp --set hidden=[8,4] --weights w.safetensors --input x.safetensors --output y.safetensors --grad")]
pub(crate) struct Run {
    /// A model file, a preset's name or a configuration
    #[arg(value_name = "MODEL|PRESET|CONFIG.toml")]
    pub(crate) model: String,
    /// Change a key of a preset or configuration; may be given often
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// The weights, under PyTorch's names; a model file has its own
    #[arg(long, value_name = "W.safetensors")]
    pub(crate) weights: Option<PathBuf>,
    /// The inputs
    #[arg(long, value_name = "X.safetensors")]
    pub(crate) input: PathBuf,
    /// Where the outputs go
    #[arg(long, value_name = "Y.safetensors")]
    pub(crate) output: PathBuf,
    /// Write gradients too
    #[arg(long)]
    pub(crate) grad: bool,
    /// Run as in a training step: batch norm takes the batch's statistics
    #[arg(long)]
    pub(crate) train: bool,
    #[command(flatten)]
    pub(crate) machines: Machines,
}

#[derive(Args)]
#[command(
    after_help = "Example:\n  wgrad completions bash > ~/.local/share/bash-completion/completions/wgrad"
)]
pub(crate) struct Completions {
    /// The shell
    shell: clap_complete::Shell,
}

/// The command: reads the command line, does what it says, and gives the exit code.
pub fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let command = Flags::command();
            let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
            eprintln!("wgrad: say what to do: one of {} (--help tells more)", names.join(", "));
            return ExitCode::from(2);
        }
        Err(error) if error.use_stderr() => {
            // Clap's first paragraph says what is wrong, and the next may have a tip; its whole text would take half a screen.
            let text = error.to_string();
            let parts = text.split("\n\n").map(str::trim);
            let parts = parts.enumerate().filter(|(i, part)| *i == 0 || part.starts_with("tip: "));
            let words: Vec<&str> = parts.flat_map(|(_, part)| part.split_whitespace()).collect();
            eprintln!("wgrad: {} (--help tells more)", words.join(" ").trim_start_matches("error: "));
            return ExitCode::from(2);
        }
        Err(help) => {
            // A closed standard output is no error.
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    match flags.run().and_then(|code| crate::output::check_printed().map(|()| code)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("wgrad: {}", printable(&error.to_string()));
            ExitCode::from(error.exit_code())
        }
    }
}

impl Flags {
    fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Train(flags) => return commands::train::run(&flags),
            Command::Eval(flags) => commands::eval::run(&flags)?,
            Command::Predict(flags) => commands::predict::run(&flags)?,
            Command::Inspect(flags) => commands::inspect::run(&flags)?,
            Command::Devices(flags) => commands::devices::run(&flags)?,
            Command::Run(flags) => commands::run::run(&flags)?,
            Command::Completions(Completions { shell }) => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Self::command(), "wgrad", &mut script);
                crate::output::say(String::from_utf8_lossy(&script).trim_end());
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
