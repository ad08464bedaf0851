//! Part `profile`: a trace of a step of each model, launch by launch.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use wgrad::Gpu;

use crate::error::io;
use crate::measure::{models, training_of};
use crate::{Result, environment};

/// Writes `profile-MODEL.json` for each model, in the trace event format, and prints its kernels.
pub fn child(out: &Path, short: bool) -> Result<ExitCode> {
    let (gpu, _) = environment::device()?;
    let roofline = gpu.measure_roofline()?;
    for (model, name) in models(short) {
        let profile = profiled(&gpu, name)?;
        let path = out.join(format!("profile-{model}.json"));
        std::fs::write(&path, profile.trace()).map_err(io(&path))?;
        eprintln!("{name}\n{}", profile.table(&roofline));
        println!(
            "{}",
            json!({
                "model": name,
                "launches": profile.launches.len(),
                "ms": 1e3 * profile.total().as_secs_f64(),
                "timing": format!("{:?}", profile.timing),
                "gflop_per_s": roofline.flops_per_second / 1e9,
                "gb_per_s": roofline.bytes_per_second / 1e9,
            })
        );
        for kernel in profile.kernels() {
            println!(
                "{}",
                json!({
                    "model": name,
                    "kernel": kernel.name,
                    "calls": kernel.calls,
                    "ms": 1e3 * kernel.total.as_secs_f64(),
                    "gflop_per_s": kernel.flops_per_second().map(|flops| flops / 1e9),
                    "gb_per_s": kernel.bytes_per_second() / 1e9,
                    "of_limit": roofline.share(kernel.flops_per_second(), kernel.bytes_per_second()),
                })
            );
        }
        gpu.trim();
    }
    Ok(ExitCode::SUCCESS)
}

/// One step, after some that compile and fill the pool.
fn profiled(gpu: &Gpu, name: &str) -> Result<wgrad::device::Profile> {
    let mut training = training_of(gpu, name)?;
    for _ in 0..3 {
        training.step()?;
    }
    gpu.start_profile()?;
    training.record()?;
    Ok(gpu.take_profile()?)
}
