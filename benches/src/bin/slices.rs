//! Frame pacing: how long slices of a training step take on the device for a budget, and what slicing costs.
//!
//! ```text
//! cargo run --release -p wgrad-benches --bin slices -- [--budgets 2,4,8] [--batch 64] [--seconds 20]
//! ```
//!
//! An application's frames are stood in for by a loop that submits a slice as soon as fewer than two are unfinished, so
//! the device is never idle, and steps a second can be compared with those of whole steps.

use std::error::Error;
use std::time::{Duration, Instant};

use clap::Parser;
use wgrad::device::wgpu;
use wgrad::train::Stepper;
use wgrad::{Gpu, Tensor};
use wgrad_benches::{Training, cnn};

/// Measures slices of the CNN's training step.
#[derive(Parser)]
struct Flags {
    /// Milliseconds of GPU time a slice
    #[arg(long, value_delimiter = ',', default_values_t = [2.0, 4.0, 8.0])]
    budgets: Vec<f64>,
    /// Images in a step
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Time for each budget, a third of it at whole steps just before
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
}

/// Steps before the measured ones, in which costs are learned.
const WARM_UP: u64 = 5;

/// Seconds a step, whole steps being submitted one after the other without waiting for each.
fn whole(training: &mut Training, gpu: &Gpu, time: Duration) -> Result<f64, Box<dyn Error>> {
    gpu.synchronize()?;
    let (start, mut steps) = (Instant::now(), 0);
    while start.elapsed() < time {
        training.record()?;
        gpu.submit()?;
        steps += 1;
    }
    gpu.synchronize()?;
    Ok(start.elapsed().as_secs_f64() / f64::from(steps))
}

/// Seconds a step in slices of `budget`, and what each slice took.
fn sliced(
    training: &mut Training,
    gpu: &Gpu,
    budget: Duration,
    time: Duration,
) -> Result<(f64, Vec<Duration>), Box<dyn Error>> {
    let mut stepper = Stepper::new(gpu);
    let (mut start, mut before, mut times) = (Instant::now(), 0, Vec::new());
    loop {
        let slice = stepper.advance(budget, || Ok::<Tensor, Box<dyn Error>>(training.record()?))?;
        if slice.busy {
            std::thread::sleep(Duration::from_micros(100));
            gpu.device().poll(wgpu::PollType::Poll)?;
        }
        times.extend(stepper.slice_times());
        let arrived = stepper.losses()?.last().map_or(0, |last| last.step);
        if before == 0 && arrived >= WARM_UP {
            (start, before) = (Instant::now(), arrived);
            times.clear();
        } else if before > 0 && arrived > before && start.elapsed() > time {
            let seconds = start.elapsed().as_secs_f64() / (arrived - before) as f64;
            gpu.synchronize()?;
            return Ok((seconds, times));
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let flags = Flags::parse();
    let gpu = Gpu::new()?;
    let mut training = Training::sgd(&gpu, flags.batch, |b| cnn(b, 1))?;
    for _ in 0..3 {
        training.step()?;
    }
    println!("{}", gpu.info().name);
    println!(
        "| budget, ms | slices | median, ms | 95th percentile, ms | longest, ms | step sliced, ms | step whole, ms | overhead |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for &budget in &flags.budgets {
        let time = Duration::from_secs_f64(flags.seconds);
        let before = whole(&mut training, &gpu, time / 6)?;
        let (seconds, mut times) = sliced(&mut training, &gpu, Duration::from_secs_f64(budget / 1e3), time)?;
        let after = whole(&mut training, &gpu, time / 6)?;
        let whole = f64::midpoint(before, after);
        times.sort();
        let at = |part: f64| {
            let i = (part * (times.len().max(1) - 1) as f64) as usize;
            times.get(i).map_or(0.0, |time| 1e3 * time.as_secs_f64())
        };
        println!(
            "| {budget} | {} | {:.2} | {:.2} | {:.2} | {:.1} | {:.1} | {:+.1}% |",
            times.len(),
            at(0.5),
            at(0.95),
            at(1.0),
            1e3 * seconds,
            1e3 * whole,
            100.0 * (seconds / whole - 1.0)
        );
    }
    Ok(())
}
