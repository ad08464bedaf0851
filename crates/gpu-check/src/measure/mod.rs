//! What is measured, and how: a process that reads a name a line and answers with its figures, so that it can take turns
//! with PyTorch's twin (`benches/pytorch/gpu.py`), which knows the same names.
//!
//! A name is a word, what it is of, and its sizes, as `matmul f32 1024` or `step resnet9 64 512`; [`names`] has all of them.

mod check;
mod convolutions;
mod launches;
mod others;
mod products;
mod steps;
mod values;

use std::io::{BufRead as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wgrad::Gpu;
use wgrad::device::ShaderFolder;

use crate::{Error, Result, environment};

pub use steps::{models, training_of};

/// What a name stands for, made ready on a device.
pub struct Case<'a> {
    /// The type of the operands.
    pub precision: &'static str,
    /// Floating-point operations of a run, where they say something.
    pub flops: f64,
    /// Bytes that a run reads and writes at least, where they say something.
    pub bytes: f64,
    /// The most runs between two waits: what they hold must fit.
    pub most: usize,
    /// Makes that many runs, and gives the time from their submission, or their recording, to their end.
    pub run: Box<dyn FnMut(usize) -> Result<Duration> + 'a>,
    /// Compares what a run computes with the f64 reference, and gives the largest error.
    pub check: Option<Box<dyn Fn() -> Result<f64> + 'a>>,
}

impl<'a> Case<'a> {
    /// An op that `run` records. What is timed is the submission and the wait, and the recording only where each run is
    /// waited for.
    pub fn op<T>(gpu: &'a Gpu, precision: &'static str, run: impl Fn() -> Result<T> + 'a) -> Self {
        let run = move |count: usize| -> Result<Duration> {
            let recording = Instant::now();
            for _ in 0..count {
                drop(run()?);
            }
            let start = if count == 1 { recording } else { Instant::now() };
            gpu.synchronize()?;
            Ok(start.elapsed())
        };
        Self { precision, flops: 0.0, bytes: 0.0, most: 1000, run: Box::new(run), check: None }
    }

    /// As [`Case::op`], for what works on something that is prepared outside of the time, such as the graph of a forward
    /// pass, which a backward pass uses up.
    pub fn prepared<S, T>(
        gpu: &'a Gpu,
        precision: &'static str,
        prepare: impl Fn() -> Result<S> + 'a,
        run: impl Fn(S) -> Result<T> + 'a,
    ) -> Self {
        let run = move |count: usize| -> Result<Duration> {
            let prepared = (0..count).map(|_| prepare()).collect::<Result<Vec<S>>>()?;
            gpu.synchronize()?;
            let recording = Instant::now();
            for state in prepared {
                drop(run(state)?);
            }
            let start = if count == 1 { recording } else { Instant::now() };
            gpu.synchronize()?;
            Ok(start.elapsed())
        };
        Self { precision, flops: 0.0, bytes: 0.0, most: 4, run: Box::new(run), check: None }
    }

    /// States what a run computes and moves.
    pub fn work(mut self, flops: usize, bytes: usize) -> Self {
        (self.flops, self.bytes) = (flops as f64, bytes as f64);
        self
    }

    /// States the most runs between two waits.
    pub fn most(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// States how to compare with the reference.
    pub fn checked(mut self, check: impl Fn() -> Result<f64> + 'a) -> Self {
        self.check = Some(Box::new(check));
        self
    }
}

/// The words of a name, and its sizes.
pub struct Name<'n> {
    whole: &'n str,
    words: Vec<&'n str>,
    sizes: Vec<usize>,
}

impl<'n> Name<'n> {
    fn new(whole: &'n str) -> Self {
        let (sizes, words): (Vec<&str>, Vec<&str>) =
            whole.split_whitespace().partition(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
        Self { whole, words, sizes: sizes.iter().filter_map(|size| size.parse().ok()).collect() }
    }

    fn sizes<const N: usize>(&self) -> Result<[usize; N]> {
        self.sizes.as_slice().try_into().map_err(|_| self.unknown())
    }

    fn unknown(&self) -> Error {
        Error::Name(self.whole.to_owned())
    }
}

/// What `name` stands for.
pub fn case<'a>(gpu: &'a Gpu, name: &str) -> Result<Case<'a>> {
    let name = Name::new(name);
    match name.words.first().copied().unwrap_or_default() {
        "limit" | "launch" => launches::case(gpu, &name),
        "matmul" => products::case(gpu, &name),
        "conv2d" => convolutions::case(gpu, &name),
        "step" => steps::case(gpu, &name),
        _ => others::case(gpu, &name),
    }
}

/// Every name, in the order of what matters most: where time runs out, the last are left out.
pub fn names(short: bool) -> Vec<String> {
    let mut names = Vec::new();
    let mut add = |list: &[&str]| names.extend(list.iter().map(|&name| name.to_owned()));
    if short {
        add(&["step cnn 2", "step mlp 4", "step resnet9 4 8"]);
        add(&["limit copy 1048576", "limit fma 1024", "launch dependent", "launch independent"]);
        add(&["matmul f32 96", "matmul f16 96"]);
        add(&["conv2d forward f32 1 3 8 8", "conv2d input f32 1 4 8 8", "conv2d weight f32 1 4 8 8"]);
        add(&["conv2d forward f16 1 4 8 8", "conv2d input f16 1 4 8 8", "conv2d weight f16 1 4 8 8"]);
        add(&["batch_norm forward 2 4 8", "batch_norm backward 2 4 8", "softmax forward 16 10"]);
        add(&["softmax backward 16 10", "sum rows 16 12", "sum columns 16 12", "sum all 16 12", "relu 4096"]);
        add(&["gelu 4096", "add 4096", "add_row 64 16", "optimizer sgd 16", "optimizer adam 16"]);
        return names;
    }
    add(&["step cnn 64", "step mlp 64", "step resnet9 64 512"]);
    add(&["limit copy 67108864", "limit fma 131072", "launch dependent", "launch independent"]);
    for n in [512, 1024, 2048, 4096, 8192] {
        add(&[&format!("matmul f32 {n}"), &format!("matmul f16 {n}")]);
    }
    // The CNN's two, then those of resnet9 of width 64, by batch, channels in and out, and size of the image.
    let convolutions = [
        [64, 64, 128, 16],
        [64, 3, 64, 32],
        [512, 64, 128, 32],
        [512, 128, 128, 16],
        [512, 128, 256, 16],
        [512, 256, 512, 8],
        [512, 512, 512, 4],
        [512, 3, 64, 32],
    ];
    for [batch, inputs, outputs, size] in convolutions {
        for direction in ["forward", "input", "weight"] {
            add(&[&format!("conv2d {direction} f32 {batch} {inputs} {outputs} {size}")]);
        }
    }
    add(&["batch_norm forward 512 64 32", "batch_norm backward 512 64 32"]);
    add(&["batch_norm forward 512 512 4", "batch_norm backward 512 512 4"]);
    add(&["softmax forward 4096 1024", "softmax backward 4096 1024", "softmax forward 65536 10"]);
    add(&["sum rows 4096 4096", "sum columns 4096 4096", "sum all 4096 4096"]);
    add(&["relu 16777216", "gelu 16777216", "add 16777216", "add_row 65536 256"]);
    add(&["optimizer sgd 1024", "optimizer adam 1024"]);
    for [batch, inputs, outputs, size] in [convolutions[0], convolutions[2], convolutions[5]] {
        for direction in ["forward", "input", "weight"] {
            add(&[&format!("conv2d {direction} f16 {batch} {inputs} {outputs} {size}")]);
        }
    }
    names
}

/// A small relative of a name, of odd sizes, all of whose values are compared.
pub fn small(name: &str) -> Option<String> {
    let of = Name::new(name);
    let words = of.words.join(" ");
    Some(match of.words.first().copied()? {
        "matmul" => format!("{words} 67"),
        "conv2d" => format!("{words} 2 5 7 9"),
        "batch_norm" => format!("{words} 3 5 7"),
        "softmax" | "sum" | "add_row" => format!("{words} 13 7"),
        "relu" | "gelu" | "add" => format!("{words} 1001"),
        "optimizer" => format!("{words} 13"),
        _ => return None,
    })
}

/// Times of runs, in milliseconds.
fn figures(mut times: Vec<f64>) -> Value {
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    json!({
        "ms": median,
        "least": times.first(),
        "most": times.last(),
        "samples": times.len(),
    })
}

fn milliseconds(time: Duration) -> f64 {
    1e3 * time.as_secs_f64()
}

/// Measures a case: each run waited for, and many in a row.
fn measure(name: &str, case: &mut Case<'_>, short: bool, mut answer: impl FnMut(Value)) -> Result<()> {
    // Compiles, fills the pool, and brings the clocks up.
    (case.run)(1)?;
    let once = (case.run)(1)?;
    // Steps are what all the rest is for.
    let budget = Duration::from_millis(if short {
        1
    } else if name.starts_with("step") {
        400
    } else {
        80
    });
    let mut put = |how: &str, in_a_row: usize, times: Vec<f64>| {
        let mut row = figures(times);
        row["bench"] = json!(name);
        row["who"] = json!("wgrad");
        row["precision"] = json!(case.precision);
        row["how"] = json!(how);
        row["in_a_row"] = json!(in_a_row);
        row["flops"] = json!(case.flops);
        row["bytes"] = json!(case.bytes);
        answer(row);
    };
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < 3 || (start.elapsed() < budget && times.len() < 100) {
        times.push(milliseconds((case.run)(1)?));
    }
    put("synchronised", 1, times);
    let most = if short { 2 } else { case.most };
    let count = (budget.as_secs_f64() / 4.0 / once.as_secs_f64().max(1e-6)).clamp(1.0, most as f64) as usize;
    // What is prepared is in memory the second time.
    (case.run)(count)?;
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < 3 || (start.elapsed() < budget && times.len() < 20) {
        times.push(milliseconds((case.run)(count)?) / count as f64);
    }
    put("in a row", count, times);
    Ok(())
}

/// Compares a name's result, and that of its small relative, with the f64 reference. Gives the largest error.
fn check(gpu: &Gpu, name: &str) -> Result<f64> {
    let mut largest = 0.0;
    for name in small(name).iter().map(String::as_str).chain([name]) {
        if let Some(check) = case(gpu, name)?.check {
            largest = f64::max(largest, check()?);
        }
    }
    Ok(largest)
}

/// Whether a name's launches are made of a file of the folder.
fn is_affected(gpu: &Gpu, folder: &ShaderFolder, name: &str) -> Result<bool> {
    let mut case = case(gpu, name)?;
    gpu.start_profile()?;
    let ran = (case.run)(1);
    let profile = gpu.take_profile()?;
    ran?;
    let launched = |name: &String| profile.launches.iter().any(|launch| launch.name == *name);
    Ok(gpu.composed().iter().any(|composed| launched(&composed.kernel) && folder.affects(&composed.files)))
}

/// Answers requests until there are none: `measure NAME`, `check NAME`, `affected NAME`. An answer is some objects of JSON,
/// a line each, the last one with `done`.
pub fn serve(short: bool) -> Result<ExitCode> {
    let (gpu, folder) = environment::device()?;
    let answer = |value: Value| {
        let mut out = std::io::stdout().lock();
        // Whoever asked is gone if this fails, and so is standard input.
        let _ = writeln!(out, "{value}").and_then(|()| out.flush());
    };
    answer(json!({"done": true, "adapter": gpu.info().name, "f16": gpu.has_f16()}));
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let (request, name) = line.split_once(' ').unwrap_or((&line, ""));
        let done = match request {
            "measure" => case(&gpu, name).and_then(|mut case| measure(name, &mut case, short, answer)),
            "check" => check(&gpu, name).map(|error| answer(json!({"error_of_check": error}))),
            "affected" => match &folder {
                Some(folder) => is_affected(&gpu, folder, name).map(|is| answer(json!({"affected": is}))),
                None => Err(Error::Refused("no folder in WGRAD_SHADERS".to_owned())),
            },
            _ => Err(Error::Name(line.clone())),
        };
        // What a large case held must not be missing to the next.
        gpu.trim();
        answer(match done {
            Ok(()) => json!({"done": true}),
            Err(error) => json!({"done": true, "error": error.line()}),
        });
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn kinds(short: bool) -> BTreeSet<String> {
        names(short).iter().map(|name| Name::new(name).words.join(" ")).collect()
    }

    #[test]
    fn every_kind_of_name_is_rehearsed() {
        assert_eq!(kinds(false), kinds(true));
        assert!(names(false).len() > 60);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let gpu = Gpu::builder().quiet().build().unwrap();
        for name in [
            "",
            "matmul",
            "matmul f32",
            "matmul f64 8",
            "matmul f32 8 8",
            "conv2d back f32 1 1 1 8",
            "step vgg 1",
        ] {
            assert!(matches!(case(&gpu, name), Err(Error::Name(_))), "{name:?}");
        }
    }

    /// The checks that variants must pass hold for what is built in, and for all that is measured but launches and steps.
    #[test]
    fn results_are_those_of_the_references() {
        let gpu = Gpu::builder().quiet().build().unwrap();
        for name in names(true) {
            let error = check(&gpu, &name).unwrap_or_else(|error| panic!("{name}: {}", error.line()));
            let unchecked = ["step", "limit", "launch"].iter().any(|word| name.starts_with(word));
            assert_eq!(case(&gpu, &name).unwrap().check.is_none(), unchecked, "{name}");
            assert!(error < 1e-4, "{name}: {error}");
        }
    }
}
