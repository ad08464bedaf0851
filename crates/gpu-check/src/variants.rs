//! Part `variants`: kernels with their WGSL taken from folders, each against the built-in ones, A B A B. What a folder
//! computes is held against the f64 reference before it is timed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use wgrad::device::ShaderFolder;

use crate::bench::{Side, figures};
use crate::error::io;
use crate::run::{Ending, Part};
use crate::{Error, Result, measure};

const ROUNDS: usize = 2;

/// A folder of variants, which must be one before a run begins.
///
/// # Errors
/// [`Error::Refused`] with what is wrong with it.
pub fn open(folder: &Path) -> Result<PathBuf> {
    let refused = |error: std::io::Error| Error::Refused(format!("variants {}: {error}", folder.display()));
    ShaderFolder::read(folder).map_err(refused)?;
    folder.canonicalize().map_err(io(folder))
}

/// What happened to a folder.
#[derive(Default)]
struct Tally {
    measured: usize,
    errors: Vec<String>,
}

pub fn run(part: &Part<'_>, folders: &[PathBuf]) -> Result<Ending> {
    let mut errors = Vec::new();
    for (number, folder) in folders.iter().enumerate() {
        // What is left is shared evenly.
        let left = part.deadline.saturating_duration_since(Instant::now());
        let deadline = Instant::now() + left / (folders.len() - number) as u32;
        let name = folder
            .file_name()
            .map_or_else(|| folder.to_string_lossy(), |name| name.to_string_lossy())
            .into_owned();
        let tally = match compared(part, &name, folder, deadline) {
            Ok(tally) => tally,
            Err(error) => Tally { measured: 0, errors: vec![error.line()] },
        };
        for error in &tally.errors {
            part.records.say("variants", &format!("{name}: {error}"));
            part.records.add("variants", json!({"folder": name, "error": error}))?;
        }
        part.records
            .say("variants", &format!("{name}: {} measured, {} errors", tally.measured, tally.errors.len()));
        errors.extend(tally.errors.into_iter().map(|error| format!("{name}: {error}")));
    }
    Ok(match errors.first() {
        None => Ending::Passed,
        Some(first) => Ending::Failed(format!("{} errors, first: {first}", errors.len())),
    })
}

/// Measures every name that a folder's files have a part in.
fn compared(part: &Part<'_>, folder_name: &str, folder: &Path, deadline: Instant) -> Result<Tally> {
    let (mut builtin, _) = Side::wgrad(part, "built-in", None)?;
    let (mut variant, _) = Side::wgrad(part, folder_name, Some(folder))?;
    let mut tally = Tally::default();
    // Steps last: they are timed only if all that they are made of is right.
    let (steps, kernels): (Vec<String>, Vec<String>) =
        measure::names(part.short).into_iter().partition(|name| name.starts_with("step"));
    for name in kernels.iter().chain(&steps) {
        if name.starts_with("step") && !tally.errors.is_empty() {
            continue;
        }
        if Instant::now() + Duration::from_secs(if part.short { 1 } else { 4 }) > deadline {
            tally.errors.push(format!("no time was left from {name:?} on"));
            break;
        }
        match one(part, [&mut builtin, &mut variant], folder_name, name, deadline) {
            Ok(measured) => tally.measured += usize::from(measured),
            Err(error @ (Error::Ended(_) | Error::Io { .. })) => return Err(error),
            Err(error) => tally.errors.push(format!("{name}: {}", error.line())),
        }
    }
    if tally.measured == 0 && tally.errors.is_empty() {
        tally.errors.push("nothing that is measured launches a kernel made of its files".to_owned());
    }
    Ok(tally)
}

/// Checks a name and measures it in turns; false if the folder has no part in it.
fn one(
    part: &Part<'_>,
    [builtin, variant]: [&mut Side; 2],
    folder: &str,
    name: &str,
    deadline: Instant,
) -> Result<bool> {
    let affected = variant.ask(&format!("affected {name}"), deadline)?;
    if !affected.iter().any(|answer| answer["affected"] == json!(true)) {
        return Ok(false);
    }
    let checked = variant.ask(&format!("check {name}"), deadline)?;
    let error = checked.iter().find_map(|answer| answer["error_of_check"].as_f64());
    for round in 0..if part.short { 1 } else { ROUNDS } {
        for (who, side) in [("built-in", &mut *builtin), (folder, &mut *variant)] {
            for mut figure in figures(side.ask(&format!("measure {name}"), deadline)?) {
                figure["round"] = json!(round);
                figure["who"] = json!(who);
                figure["folder"] = json!(folder);
                figure["error_of_check"] = json!(error);
                part.records.add("variants", figure)?;
            }
        }
    }
    Ok(true)
}
