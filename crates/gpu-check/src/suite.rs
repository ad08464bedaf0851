//! Part `tests`: each test of the packed suite in a process of its own, so that a driver that hangs, crashes or loses its
//! device takes one test with it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::process::{Next, Process, ended};
use crate::run::{Ending, Part};
use crate::{Error, Result};

/// Begun first, because they take longest.
const LONGEST: [&str; 2] = ["autograd_ops::every_op", "autograd_races::kernels"];

/// The most time of any other test: what takes longer hangs.
const TEST: Duration = Duration::from_secs(60);

/// What a rehearsal runs: the rest of these tests runs in their own crates wherever a rehearsal does.
const SHORT: [&str; 5] = [
    "autograd_half::casts_keep",
    "autograd_norms::what_does_not_fit",
    "curves::thirty_steps_of_the_mlp",
    "device_devices::no_adapter",
    "device_launches::shaders_that_do_not_compile",
];

/// What a line of a failing row of the table of ops begins with (`crates/autograd/tests/table`). The test's own beginning
/// may stand before it, on the same line.
const FAILED_ROW: &str = "failed row: ";

/// How one test ended.
struct Outcome {
    name: String,
    status: &'static str,
    message: String,
    rows: Vec<String>,
    seconds: f64,
}

fn names(part: &Part<'_>) -> Result<Vec<String>> {
    let mut command = part.setup.command(part.setup.suite()?);
    command.args(["--list", "--format", "terse"]);
    let mut process = Process::start("suite", command, part.records)?;
    let mut names = Vec::new();
    loop {
        match process.next(part.deadline) {
            Next::Line(line) => names.extend(line.strip_suffix(": test").map(str::to_owned)),
            Next::End(status) => {
                ended(&process, status)?;
                break;
            }
            Next::Late => return Err(Error::Ended("the list of tests did not come in time".to_owned())),
        }
    }
    if part.short {
        names.retain(|name| SHORT.iter().any(|short| name.starts_with(short)));
    }
    // A stable sort: all others stay in their order.
    names.sort_by_key(|name| LONGEST.iter().position(|long| name.starts_with(long)).unwrap_or(LONGEST.len()));
    Ok(names)
}

fn test(part: &Part<'_>, name: &str) -> Result<Outcome> {
    let start = Instant::now();
    let mut command = part.setup.command(part.setup.suite()?);
    command.args(["--exact", name, "--nocapture", "--test-threads", "1"]);
    command.env("WGRAD_REPEATS", if part.short { "3" } else { "200" });
    let mut process = Process::start(name, command, part.records)?;
    let is_long = LONGEST.iter().any(|long| name.starts_with(long));
    let deadline = if is_long { part.deadline } else { part.deadline.min(start + TEST) };
    let (mut rows, mut ran) = (Vec::new(), false);
    let (status, message) = loop {
        match process.next(deadline) {
            Next::Line(line) => {
                ran |= line.starts_with("test result: ok. 1 passed");
                if let Some((_, row)) = line.split_once(FAILED_ROW) {
                    part.records.add("tests", json!({"row": row}))?;
                    rows.push(row.to_owned());
                }
                part.records.log().line(name, &line);
            }
            Next::End(status) => {
                break match ended(&process, status) {
                    Ok(()) if ran => ("passed", String::new()),
                    Ok(()) => ("failed", "it did not run".to_owned()),
                    Err(error) => ("failed", error.line()),
                };
            }
            Next::Late => break ("stopped", "its time is up".to_owned()),
        }
    };
    Ok(Outcome { name: name.to_owned(), status, message, rows, seconds: start.elapsed().as_secs_f64() })
}

pub fn run(part: &Part<'_>) -> Result<Ending> {
    let names = names(part)?;
    if names.is_empty() {
        return Err(Error::Refused("the suite has no tests".to_owned()));
    }
    let queue = Mutex::new(names.iter().map(String::as_str).collect::<VecDeque<_>>());
    let outcomes = Mutex::new(Vec::new());
    // Each test is one process of mostly one thread; the one of all ops has four.
    let workers = std::thread::available_parallelism().map_or(1, usize::from).div_ceil(4).min(4);
    let work = || -> Result<()> {
        while Instant::now() < part.deadline {
            let Some(name) = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front() else { break };
            let outcome = test(part, name)?;
            if outcome.status != "passed" {
                part.records
                    .say("tests", &format!("{}: {}: {}", outcome.status, outcome.name, outcome.message));
            }
            part.records.add(
                "tests",
                json!({
                    "test": outcome.name, "status": outcome.status, "message": outcome.message,
                    "failed_rows": outcome.rows.len(), "seconds": outcome.seconds,
                }),
            )?;
            outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
        }
        Ok(())
    };
    std::thread::scope(|scope| -> Result<()> {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or(Ok(())))
    })?;
    let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    ending(&names, &outcomes, part)
}

fn ending(names: &[String], outcomes: &[Outcome], part: &Part<'_>) -> Result<Ending> {
    let missing: Vec<&String> =
        names.iter().filter(|name| !outcomes.iter().any(|outcome| outcome.name == **name)).collect();
    for name in &missing {
        part.records.add("tests", json!({"test": name, "status": "not run"}))?;
    }
    let count = |status: &str| outcomes.iter().filter(|outcome| outcome.status == status).count();
    let (passed, failed, stopped) = (count("passed"), count("failed"), count("stopped"));
    let text = format!("{passed} passed, {failed} failed, {stopped} stopped, {} not run", missing.len());
    part.records.say("tests", &text);
    Ok(match () {
        () if failed > 0 => Ending::Failed(text),
        () if stopped + missing.len() > 0 => Ending::Stopped(text),
        () => Ending::Passed,
    })
}
