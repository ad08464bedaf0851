//! What AMD's compiler makes of wgrad's kernels, on a machine without a GPU.
//!
//!     ci/gpu-report [--check] [--dump DIR]
//!
//! Every module that a training step of the cifar10 CNN, one of an MLP and a product of 4096 launch in the `gpu` family
//! is compiled by Mesa's RADV on its null device for three AMD GPUs. The registers, spills, occupancy and instructions
//! counted go to docs/gpu-report.md. Nothing runs, so there are no times; `peak.rs` says what the counts predict.
//! Ends with exit code 1 where a kernel spills or a promise of the hot loops is broken, 2 where the work cannot be done.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use wgrad_gpu_report::{Error, Result, compile, launches, report};

/// Compiles every kernel of a training step for AMD GPUs and counts what came of it.
#[derive(Parser)]
struct Flags {
    /// Compare with the report as it stands instead of writing it
    #[arg(long)]
    check: bool,
    /// Also write each composed WGSL module here, and its assembly for each GPU
    #[arg(long, value_name = "DIR")]
    dump: Option<PathBuf>,
    /// The report
    #[arg(long, value_name = "FILE", default_value = "docs/gpu-report.md")]
    output: PathBuf,
    /// Compile the WGSL files of this folder for the GPU that the environment names: what a child process does
    #[arg(long, value_name = "DIR", hide = true)]
    compile: Option<PathBuf>,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    let done = match &flags.compile {
        Some(folder) => compile::child(folder).map(|()| ExitCode::SUCCESS),
        None => run(&flags),
    };
    done.unwrap_or_else(|error| {
        eprintln!("gpu-report: {error}");
        ExitCode::from(2)
    })
}

fn run(flags: &Flags) -> Result<ExitCode> {
    let temporary = tempfile::tempdir().map_err(|source| Error::Io { path: std::env::temp_dir(), source })?;
    let folder = flags.dump.as_deref().unwrap_or(temporary.path());
    let modules = launches::launched()?;
    let families = compile::for_all_families(&modules, folder)?;
    let text = report::markdown(&modules, &families);
    let mut problems: Vec<String> =
        families.iter().flat_map(|family| report::problems(&modules, family)).collect();
    if flags.check {
        problems.extend(stale(&flags.output, &text)?);
    } else {
        write(&flags.output, &text)?;
    }
    for problem in &problems {
        eprintln!("gpu-report: {problem}");
    }
    println!(
        "gpu-report: {} modules for {} GPUs, {} problems",
        modules.len(),
        families.len(),
        problems.len()
    );
    Ok(ExitCode::from(u8::from(!problems.is_empty())))
}

/// Whether the report is not what would be written now. Another version of the driver counts other instructions, so
/// only reports of one version are compared.
fn stale(path: &Path, text: &str) -> Result<Option<String>> {
    let old = std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    let comparable = report::driver_line(&old) == report::driver_line(text);
    Ok((comparable && old != text).then(|| format!("{} is stale: run ci/gpu-report", path.display())))
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|source| Error::Io { path: path.to_owned(), source })
}
