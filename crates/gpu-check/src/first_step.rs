//! Part `first-step`: from the start of a process to the end of its first training step.

use std::process::{Command, ExitCode};
use std::time::Instant;

use serde_json::{Value, json};

use crate::measure::{models, training_of};
use crate::process::{Next, Process, ended};
use crate::run::{Ending, Part, packed};
use crate::{Error, Result, environment};

/// Processes for each kind of cache.
const RUNS: usize = 3;

/// Whether the driver may keep compiled shaders on disk, and has some already.
#[derive(Clone, Copy)]
enum Cache {
    Off,
    Empty,
    Full,
}

impl Cache {
    fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Empty => "empty",
            Self::Full => "full",
        }
    }

    /// Sets the variables of NVIDIA's, Mesa's and CUDA's caches.
    fn apply(self, command: &mut Command) {
        if let Self::Off = self {
            command.env("__GL_SHADER_DISK_CACHE", "0").env("MESA_SHADER_CACHE_DISABLE", "true");
            command.env("CUDA_CACHE_DISABLE", "1");
        } else {
            command.env("__GL_SHADER_DISK_CACHE", "1").env("__GL_SHADER_DISK_CACHE_SKIP_CLEANUP", "1");
        }
    }
}

/// The milliseconds until the process says that its step is done.
fn timed(part: &Part<'_>, name: &str, mut command: Command, cache: Cache) -> Result<f64> {
    cache.apply(&mut command);
    let start = Instant::now();
    let mut process = Process::start(name, command, part.records)?;
    loop {
        match process.next(part.deadline) {
            Next::Line(line) if line == "done" => return Ok(1e3 * start.elapsed().as_secs_f64()),
            Next::Line(_) => {}
            Next::End(status) => {
                ended(&process, status)?;
                return Err(Error::Refused("it ended before its first step".to_owned()));
            }
            Next::Late => return Err(Error::Ended("its time is up".to_owned())),
        }
    }
}

pub fn run(part: &Part<'_>) -> Result<Ending> {
    let twin = packed(part.setup, "pytorch/gpu.py")?.to_string_lossy().into_owned();
    let mut with_torch = true;
    let runs = if part.short { 1 } else { RUNS };
    for (model, name) in models(part.short).into_iter().take(if part.short { 1 } else { 3 }) {
        let put = |who: &str, cache: Cache, times: &mut Vec<f64>| -> Result<()> {
            times.sort_by(f64::total_cmp);
            let row: Value = json!({
                "model": model, "bench": name, "who": who, "cache": cache.name(),
                "ms": times.get(times.len() / 2), "all": times,
            });
            part.records.add("first-step", row)
        };
        for cache in [Cache::Off, Cache::Empty, Cache::Full] {
            let mut times = Vec::new();
            for run in 0..runs {
                let mut command = part.setup.own(&["first-step"]);
                command.args(name.split_whitespace());
                // An empty one for each run, and the first model's first for those that find a full one.
                let number = if let Cache::Full = cache { 0 } else { run };
                for (variable, driver) in
                    [("__GL_SHADER_DISK_CACHE_PATH", "nvidia"), ("MESA_SHADER_CACHE_DIR", "mesa")]
                {
                    let folder = part.records.scratch(&format!("first-step-{model}-{driver}-{number}"))?;
                    command.env(variable, folder);
                }
                match timed(part, "first-step", command, cache) {
                    Ok(ms) => times.push(ms),
                    Err(error @ Error::Ended(_)) => return Ok(Ending::Stopped(error.line())),
                    Err(error) => return Ok(Ending::Failed(error.line())),
                }
            }
            put("wgrad", cache, &mut times)?;
        }
        // PyTorch compiles nothing, but loads; one run shows it.
        if with_torch {
            let mut arguments = vec![twin.as_str(), "--first-step", name];
            arguments.extend(part.any_adapter.then_some("--any-device"));
            match timed(part, "pytorch", part.setup.python(&arguments), Cache::Full) {
                Ok(ms) => put("pytorch", Cache::Full, &mut vec![ms])?,
                Err(error) => {
                    with_torch = false;
                    part.records.say("first-step", &format!("without PyTorch: {}", error.line()));
                }
            }
        }
    }
    Ok(Ending::Passed)
}

/// What the process does.
pub fn child(name: &str) -> Result<ExitCode> {
    let (gpu, _) = environment::device()?;
    training_of(&gpu, name)?.step()?;
    println!("done");
    Ok(ExitCode::SUCCESS)
}
