//! wgrad's side of `ci/bench-peers`: one JSON line a measurement.
//!
//! ```text
//! cargo run --release -p wgrad-benches --bin measure -- [first_step] [cnn_step] [mlp_step] [matmul_512] \
//!     [matmul_1024] [resnet9_step]
//! ```
//!
//! Medians, each run waited for. `first_step` is the time from the process's start to the end of the first CNN step,
//! and needs a process of its own.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use wgrad::Gpu;
use wgrad_benches::{Training, cnn, random, resnet9};

const WARM_UP: usize = 3;
const MOST_RUNS: usize = 60;
/// Counted runs end here, once there are five.
const BUDGET: Duration = Duration::from_secs(10);

fn milliseconds(start: Instant) -> f64 {
    1e3 * start.elapsed().as_secs_f64()
}

fn median_ms(mut run: impl FnMut() -> wgrad::nn::Result<()>) -> wgrad::nn::Result<f64> {
    (0..WARM_UP).try_for_each(|_| run())?;
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < 5 || (times.len() < MOST_RUNS && start.elapsed() < BUDGET) {
        let start = Instant::now();
        run()?;
        times.push(milliseconds(start));
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn matmul(gpu: &Gpu, n: usize) -> wgrad::nn::Result<f64> {
    let (a, b) = (random(gpu, &[n, n]), random(gpu, &[n, n]));
    median_ms(|| {
        let _product = a.matmul(&b)?;
        Ok(gpu.synchronize()?)
    })
}

/// The milliseconds of a measurement; none for a name that is not known.
fn measure(gpu: &Gpu, name: &str, process_start: Instant) -> wgrad::nn::Result<Option<f64>> {
    let median_step = |mut training: Training| median_ms(|| training.step());
    Ok(Some(match name {
        "first_step" => {
            Training::sgd(gpu, 64, |b| cnn(b, 1))?.step()?;
            milliseconds(process_start)
        }
        "cnn_step" => median_step(Training::sgd(gpu, 64, |b| cnn(b, 1))?)?,
        "mlp_step" => median_step(Training::mlp(gpu, 64)?)?,
        "matmul_512" => matmul(gpu, 512)?,
        "matmul_1024" => matmul(gpu, 1024)?,
        "resnet9_step" => median_step(Training::sgd(gpu, 128, |b| resnet9(b, 16))?)?,
        _ => return Ok(None),
    }))
}

fn main() -> ExitCode {
    let process_start = Instant::now();
    let gpu = Gpu::new().expect("an adapter");
    let (adapter, kind) = (&gpu.info().name, gpu.info().device_type);
    for name in std::env::args().skip(1) {
        match measure(&gpu, &name, process_start) {
            Ok(Some(ms)) => println!(
                "{{\"bench\": \"{name}\", \"adapter\": \"{adapter}\", \"kind\": \"{kind:?}\", \"median_ms\": {ms:.3}}}"
            ),
            Ok(None) => eprintln!("measure: no benchmark named {name}"),
            Err(error) => {
                eprintln!("measure: {name}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
