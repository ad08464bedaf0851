//! `fuzz TARGET`: damages files for some seconds, and exits with 1 where a reader goes wrong.
//! `fuzz TARGET --file FILE` reads one file again, such as the one that an earlier run left.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use wgrad_fuzz::{Counting, Found, Target, campaign, find, judge, targets};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Feeds damaged files to the readers of wgrad.
#[derive(Parser)]
struct Options {
    #[arg(help = target_help())]
    target: Option<String>,
    /// Seconds for each target.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Which damage is done; two runs of one seed try the same files.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Reads this file, and does nothing else.
    #[arg(long, requires = "target")]
    file: Option<PathBuf>,
}

/// The help of the argument `target`.
fn target_help() -> String {
    let names: Vec<&str> = targets().iter().map(|target| target.name).collect();
    format!("One of {}; all of them where none is named", names.join(", "))
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::parse();
    let chosen: Vec<Target> = match &options.target {
        Some(name) => vec![find(name).ok_or_else(|| format!("there is no target {name:?}"))?],
        None => targets().into_iter().collect(),
    };
    if let Some(file) = &options.file {
        let outcome = judge(&chosen[0], &std::fs::read(file)?);
        println!("{outcome:?}");
        return Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let mut code = ExitCode::SUCCESS;
    for target in &chosen {
        let (start, mut cases) = (Instant::now(), 0);
        let found = campaign(target, options.seed, |so_far| {
            cases = so_far;
            start.elapsed() < Duration::from_secs(options.seconds)
        });
        match found {
            Found::Nothing(outcomes) => println!("{}: {cases} files, {outcomes} outcomes", target.name),
            Found::Crash(case, file, problem) => {
                let path = Path::new("target").join(format!("fuzz-{}-{case}", target.name));
                std::fs::create_dir_all("target")?;
                std::fs::write(&path, file)?;
                println!("{}: file {case} of seed {}: {problem}", target.name, options.seed);
                println!("  kept as {}", path.display());
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}
