//! Part `bench`: wgrad and PyTorch in turns, A B A B for each name.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::measure;
use crate::process::{Next, Process, ended};
use crate::run::{Ending, Part, packed};
use crate::{Error, Result};

/// Turns of each side.
const ROUNDS: usize = 2;

/// The most time that one answer may take: what takes longer hangs. Of the smallest sizes, and of a process that starts.
const ANSWER: Duration = Duration::from_secs(30);
const SHORT_ANSWER: Duration = Duration::from_secs(12);
const START: Duration = Duration::from_secs(60);

/// A process that measures what it is asked for.
pub struct Side {
    process: Process,
    patience: Duration,
}

impl Side {
    /// Starts it, and waits until it is ready.
    ///
    /// # Errors
    /// What it said instead.
    pub fn start(name: &str, command: Command, part: &Part<'_>) -> Result<(Self, Value)> {
        let patience = if part.short { SHORT_ANSWER } else { ANSWER };
        let mut side = Self { process: Process::start(name, command, part.records)?, patience };
        let ready = side.answers(part.deadline.min(Instant::now() + START))?;
        Ok((side, ready.into_iter().next_back().unwrap_or_default()))
    }

    /// The side of wgrad.
    pub fn wgrad(part: &Part<'_>, name: &str, folder: Option<&std::path::Path>) -> Result<(Self, Value)> {
        let mut arguments = vec!["measure"];
        arguments.extend(part.short.then_some("--short"));
        let mut command = part.setup.own(&arguments);
        if let Some(folder) = folder {
            command.env("WGRAD_SHADERS", folder);
        }
        Self::start(name, command, part)
    }

    /// Asks for something: the objects that came, without the last one if it says nothing but `done`.
    ///
    /// # Errors
    /// What it said was wrong, how it ended, or that its time was up: then it is of no further use.
    pub fn ask(&mut self, request: &str, deadline: Instant) -> Result<Vec<Value>> {
        self.process.tell(request)?;
        self.answers(deadline.min(Instant::now() + self.patience))
    }

    fn answers(&mut self, deadline: Instant) -> Result<Vec<Value>> {
        let mut answers = Vec::new();
        loop {
            match self.process.next(deadline) {
                Next::Line(line) => {
                    // What libraries print by themselves is no answer.
                    let Ok(value) = serde_json::from_str::<Value>(&line) else { continue };
                    if let Some(error) = value["error"].as_str() {
                        return Err(Error::Refused(error.to_owned()));
                    }
                    let last = value["done"] == json!(true);
                    answers.push(value);
                    if last {
                        return Ok(answers);
                    }
                }
                Next::End(status) => {
                    return Err(match ended(&self.process, status) {
                        Ok(()) => Error::Ended("it ended".to_owned()),
                        Err(error) => Error::Ended(error.line()),
                    });
                }
                Next::Late => return Err(Error::Ended("no answer in time".to_owned())),
            }
        }
    }
}

/// The figures among a side's answers.
pub fn figures(answers: Vec<Value>) -> impl Iterator<Item = Value> {
    answers.into_iter().filter(|answer| answer.get("ms").is_some())
}

/// PyTorch's side, or why there is none.
fn torch(part: &Part<'_>) -> Result<(Side, Value)> {
    let twin = packed(part.setup, "pytorch/gpu.py")?.to_string_lossy().into_owned();
    // Python itself may be absent too; what it says of a missing package is its last line.
    let mut arguments = vec![twin.as_str()];
    arguments.extend(part.short.then_some("--short"));
    arguments.extend(part.any_adapter.then_some("--any-device"));
    Side::start("pytorch", part.setup.python(&arguments), part)
}

/// Measures every name in turns until time runs out.
pub fn run(part: &Part<'_>) -> Result<Ending> {
    let records = part.records;
    let mut sides: Vec<(&str, Option<Side>)> = Vec::new();
    let mut lost = Vec::new();
    let mut has_f16 = true;
    match Side::wgrad(part, "wgrad", None) {
        Ok((side, ready)) => {
            has_f16 = ready["f16"] == json!(true);
            sides.push(("wgrad", Some(side)));
        }
        // PyTorch's figures are still worth having.
        Err(error) => lost.push(format!("wgrad cannot be measured: {}", error.line())),
    }
    match torch(part) {
        Ok((side, ready)) => {
            records.add("bench", json!({"pytorch": ready}))?;
            sides.push(("pytorch", Some(side)));
        }
        Err(error) => {
            let line = format!("without PyTorch: {}", error.line());
            records.say("bench", &line);
            records.add("bench", json!({"without_pytorch": error.line()}))?;
        }
    }
    let clocks = Clocks::start(part);
    let mut names = measure::names(part.short);
    if !has_f16 {
        records.say("bench", "the adapter has no f16: nothing is measured in it");
        names.retain(|name| !name.split(' ').any(|word| word == "f16"));
    }
    let mut unmeasured = Vec::new();
    for name in &names {
        // Half a turn would compare with nothing.
        if Instant::now() + Duration::from_secs(if part.short { 1 } else { 4 }) > part.deadline {
            unmeasured.push(name.clone());
            continue;
        }
        for round in 0..if part.short { 1 } else { ROUNDS } {
            for (who, slot) in &mut sides {
                let Some(side) = slot else { continue };
                match side.ask(&format!("measure {name}"), part.deadline) {
                    Ok(answers) => {
                        for mut figure in figures(answers) {
                            figure["round"] = json!(round);
                            records.add("bench", figure)?;
                        }
                    }
                    Err(error) => {
                        let line = format!("{who}: {name}: {}", error.line());
                        records.say("bench", &line);
                        records.add("bench", json!({"bench": name, "who": who, "error": error.line()}))?;
                        if *who == "wgrad" {
                            lost.push(line);
                        }
                        if matches!(error, Error::Ended(_) | Error::Io { .. }) {
                            // A new one for the names that are left: this one may hang, or be dead.
                            *slot = None;
                            let again =
                                if *who == "wgrad" { Side::wgrad(part, "wgrad", None) } else { torch(part) };
                            *slot = again.ok().map(|(side, _)| side);
                        }
                    }
                }
            }
        }
    }
    if let Some(clocks) = clocks.stop() {
        records.add("bench", json!({"clocks": clocks}))?;
    }
    if !unmeasured.is_empty() {
        records.say("bench", &format!("no time was left for {} of {} names", unmeasured.len(), names.len()));
        records.add("bench", json!({"unmeasured": unmeasured}))?;
    }
    Ok(match lost.as_slice() {
        [] => Ending::Passed,
        [first, ..] => Ending::Failed(format!("{} errors, first: {first}", lost.len())),
    })
}

/// The card's clocks while it is measured, read once a second where `nvidia-smi` tells them.
struct Clocks {
    stop: Arc<AtomicBool>,
    samples: Arc<Mutex<Vec<[f64; 4]>>>,
}

impl Clocks {
    fn start(part: &Part<'_>) -> Self {
        let clocks = Self { stop: Arc::new(AtomicBool::new(false)), samples: Arc::default() };
        let mut command = part.setup.command("nvidia-smi");
        command.args([
            "--query-gpu=clocks.sm,clocks.mem,power.draw,temperature.gpu",
            "--format=csv,noheader,nounits",
        ]);
        command.args(["-l", "1"]);
        if let Ok(mut process) = Process::start("nvidia-smi", command, part.records) {
            let (stop, samples) = (Arc::clone(&clocks.stop), Arc::clone(&clocks.samples));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    match process.next(Instant::now() + Duration::from_millis(200)) {
                        Next::Line(line) => {
                            let values: Vec<f64> =
                                line.split(',').filter_map(|v| v.trim().parse().ok()).collect();
                            if let Ok(values) = values.try_into() {
                                samples.lock().unwrap_or_else(PoisonError::into_inner).push(values);
                            }
                        }
                        Next::End(_) => break,
                        Next::Late => {}
                    }
                }
            });
        }
        clocks
    }

    /// Least, median and most of each.
    fn stop(self) -> Option<Value> {
        self.stop.store(true, Ordering::Relaxed);
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |column: usize| -> Option<Value> {
            let mut values: Vec<f64> = samples.iter().map(|sample| sample[column]).collect();
            values.sort_by(f64::total_cmp);
            Some(json!([values.first()?, values[values.len() / 2], values.last()?]))
        };
        Some(json!({"sm_mhz": of(0)?, "memory_mhz": of(1)?, "watts": of(2)?, "celsius": of(3)?}))
    }
}
