//! A run: its parts in their order, each within its time.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::process::{Next, Process, ended};
use crate::records::Records;
use crate::setup::Setup;
use crate::{Error, Result, bench, environment, first_step, suite, variants};

/// The parts, and the most seconds that each may take. All together may take [`WHOLE`].
const PARTS: [(&str, u64); 7] = [
    ("environment", 30),
    ("kernels", 50),
    ("tests", 150),
    ("bench", 160),
    ("first-step", 40),
    ("profile", 40),
    ("variants", 300),
];
const WHOLE: Duration = Duration::from_secs(475);

#[derive(Args)]
pub struct Options {
    /// Where results go
    out: PathBuf,
    /// environment, kernels, tests, bench, first-step, profile, or variants and folders of WGSL files
    parts: Vec<String>,
    /// Run on a software adapter too: a rehearsal, whose times mean nothing
    #[arg(long)]
    any_adapter: bool,
    /// The smallest sizes and a few tests: a rehearsal
    #[arg(long)]
    short: bool,
    /// No part may take longer
    #[arg(long, value_name = "SECONDS")]
    limit: Option<f64>,
    /// What `ci/gpu pack` filled
    #[arg(long, value_name = "DIR", hide = true)]
    folder: PathBuf,
}

/// What a part has to work with.
pub struct Part<'a> {
    pub records: &'a Records,
    pub setup: &'a Setup,
    /// When it must have ended.
    pub deadline: Instant,
    pub short: bool,
    /// Whether a software adapter will do, and a processor for PyTorch.
    pub any_adapter: bool,
}

/// How a part ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    /// All of it ran, and nothing was wrong.
    Passed,
    /// All of it ran, and something was wrong.
    Failed(String),
    /// There is nothing to run it on. No test failed.
    Unavailable(String),
    /// It did not come to its end.
    Stopped(String),
}

impl Ending {
    fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "failed",
            Self::Unavailable(_) => "unavailable",
            Self::Stopped(_) => "stopped",
        }
    }

    fn message(&self) -> &str {
        match self {
            Self::Passed => "",
            Self::Failed(message) | Self::Unavailable(message) | Self::Stopped(message) => message,
        }
    }

    fn is_bad(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Stopped(_))
    }
}

/// The parts asked for, and the folders behind `variants`.
fn asked(words: &[String]) -> Result<(Vec<&'static str>, Vec<PathBuf>)> {
    let variants = words.iter().position(|word| word == "variants").unwrap_or(words.len());
    let (names, folders) = words.split_at(variants);
    let known = PARTS.map(|(name, _)| name);
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(Error::Refused(format!("there is no part {unknown:?}: {}", known.join(", "))));
    }
    if folders.len() == 1 {
        return Err(Error::Refused("variants wants folders of WGSL files behind it".to_owned()));
    }
    let folders: Vec<PathBuf> = folders.iter().skip(1).map(PathBuf::from).collect();
    let wanted = |name: &str| match name {
        "variants" => !folders.is_empty(),
        _ => words.is_empty() || names.iter().any(|asked| asked == name),
    };
    Ok((known.into_iter().filter(|name| wanted(name)).collect(), folders))
}

/// Runs what is asked for.
pub fn run(options: &Options) -> Result<ExitCode> {
    let start = Instant::now();
    let (parts, folders) = asked(&options.parts)?;
    // Made absolute before anything else runs elsewhere.
    let folders = folders.iter().map(|folder| variants::open(folder)).collect::<Result<Vec<_>>>()?;
    let records = Records::create(&options.out)?;
    let setup = Setup::new(&options.folder, &records)?;
    records.add("run", begin(&setup, options))?;
    let mut bad = Vec::new();
    let limit = |seconds: u64| {
        let most = options.limit.map_or(f64::MAX, |limit| limit.max(0.0));
        let own = Duration::from_secs_f64(most.min(seconds as f64));
        Instant::now() + own.min(WHOLE.saturating_sub(start.elapsed()))
    };
    let part = |deadline| Part {
        records: &records,
        setup: &setup,
        deadline,
        short: options.short,
        any_adapter: options.any_adapter,
    };
    // What the adapter is comes first, asked for or not: on the wrong one nothing is worth its time.
    let ending = environment::run(&part(Instant::now() + Duration::from_secs(30)))?;
    if !options.any_adapter && ending != Ending::Passed {
        records.say("environment", ending.message());
        end(&records, "environment", &ending, Duration::ZERO)?;
        records.clean();
        return Ok(ExitCode::from(2));
    }
    for (name, seconds) in PARTS.into_iter().filter(|(name, _)| parts.contains(name)) {
        let (began, deadline) = (Instant::now(), limit(seconds));
        let ended = match name {
            "environment" => Ok(if ending == Ending::Passed {
                Ending::Passed
            } else {
                Ending::Stopped(ending.message().to_owned())
            }),
            _ if start.elapsed() + Duration::from_secs(3) > WHOLE => {
                Ok(Ending::Stopped("not begun: no time is left".to_owned()))
            }
            "kernels" => relay(&part(deadline), name, setup.own(&with_short(&["kernels"], options.short))),
            "tests" => suite::run(&part(deadline)),
            "bench" => bench::run(&part(deadline)),
            "first-step" => first_step::run(&part(deadline)),
            "profile" => {
                let out = records.folder.to_string_lossy().into_owned();
                relay(&part(deadline), name, setup.own(&with_short(&["profile", &out], options.short)))
            }
            _ => variants::run(&part(deadline), &folders),
        };
        let ended = ended.unwrap_or_else(|error| Ending::Stopped(error.line()));
        end(&records, name, &ended, began.elapsed())?;
        if ended.is_bad() {
            bad.push(name);
        }
    }
    records.clean();
    records.add("run", json!({"seconds": start.elapsed().as_secs_f64(), "bad": bad}))?;
    let took = start.elapsed().as_secs_f64();
    if bad.is_empty() {
        records.say("run", &format!("all parts ended well in {took:.0} s"));
        Ok(ExitCode::SUCCESS)
    } else {
        records.say("run", &format!("not well: {} ({took:.0} s)", bad.join(", ")));
        Ok(ExitCode::from(1))
    }
}

fn with_short<'a>(arguments: &[&'a str], short: bool) -> Vec<&'a str> {
    arguments.iter().copied().chain(short.then_some("--short")).collect()
}

/// What a report must know of a run.
fn begin(setup: &Setup, options: &Options) -> Value {
    let packed = std::fs::read_to_string(setup.folder.join("packed.json")).unwrap_or_default();
    let packed: Value = serde_json::from_str(&packed).unwrap_or_default();
    json!({"packed": packed, "date": date(), "short": options.short, "any_adapter": options.any_adapter})
}

/// Today, as year-month-day, by the system's own means.
fn date() -> String {
    let today = std::process::Command::new("date").args(["-u", "+%Y-%m-%d"]).output();
    today.map_or_else(|_| String::new(), |today| String::from_utf8_lossy(&today.stdout).trim().to_owned())
}

fn end(records: &Records, name: &str, ending: &Ending, took: Duration) -> Result<()> {
    let seconds = took.as_secs_f64();
    let message = ending.message();
    let text =
        if message.is_empty() { ending.word().to_owned() } else { format!("{}: {message}", ending.word()) };
    records.say(name, &format!("{text} ({seconds:.1} s)"));
    let end = json!({"status": ending.word(), "message": message, "seconds": seconds});
    records.add(name, json!({"end": end}))
}

/// Runs a part that is a process of its own and prints results as lines of JSON; an object with `unavailable` or `failed`
/// says how it ended.
pub fn relay(part: &Part<'_>, name: &str, command: std::process::Command) -> Result<Ending> {
    let mut process = Process::start(name, command, part.records)?;
    let mut ending = Ending::Passed;
    loop {
        match process.next(part.deadline) {
            Next::Line(line) => match serde_json::from_str::<Value>(&line) {
                Ok(result) => {
                    let word = |key: &str| result[key].as_str().map(str::to_owned);
                    if let Some(message) = word("unavailable") {
                        ending = Ending::Unavailable(message);
                    } else if let Some(message) = word("failed") {
                        ending = Ending::Failed(message);
                    }
                    part.records.add(name, result)?;
                }
                Err(_) => part.records.log().line(name, &line),
            },
            Next::End(status) => {
                return Ok(match ended(&process, status) {
                    Ok(()) => ending,
                    Err(error) => Ending::Stopped(error.line()),
                });
            }
            Next::Late => return Ok(Ending::Stopped("its time is up".to_owned())),
        }
    }
}

/// Where a file of the packed folder lies.
pub fn packed(setup: &Setup, name: &str) -> Result<PathBuf> {
    let path = setup.folder.join(name);
    if Path::new(&path).exists() {
        Ok(path)
    } else {
        Err(Error::Refused(format!("{} is missing", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(words: &str) -> Result<(Vec<&'static str>, Vec<PathBuf>)> {
        asked(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn parts_run_in_their_order_and_all_but_variants_by_default() {
        let (all, folders) = parts("").unwrap();
        assert_eq!(all, ["environment", "kernels", "tests", "bench", "first-step", "profile"]);
        assert!(folders.is_empty());
        assert_eq!(parts("bench tests").unwrap().0, ["tests", "bench"]);
        let (names, folders) = parts("tests variants a bench").unwrap();
        assert_eq!(names, ["tests", "variants"]);
        assert_eq!(folders, [PathBuf::from("a"), PathBuf::from("bench")], "behind variants are folders");
    }

    #[test]
    fn what_is_no_part_is_refused() {
        assert!(parts("benches").unwrap_err().line().contains("benches"));
        assert!(parts("variants").unwrap_err().line().contains("folders"));
    }

    #[test]
    fn parts_may_take_no_longer_than_the_whole() {
        let sum: u64 = PARTS.iter().filter(|(name, _)| *name != "variants").map(|(_, seconds)| seconds).sum();
        assert!(Duration::from_secs(sum) <= WHOLE && WHOLE <= Duration::from_secs(480));
    }
}
