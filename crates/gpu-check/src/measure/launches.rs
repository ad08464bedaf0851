//! The adapter's limits, and what a launch costs: `limit copy BYTES`, `limit fma INVOCATIONS`, `launch dependent`, `launch independent`.

use wgrad::Gpu;
use wgrad::device::shaders::{self, Kernel};
use wgrad::device::{Buffer, View};

use super::{Case, Name};
use crate::Result;

/// Launches in a row at most, each with a buffer of its own where they are to be independent.
const MOST: usize = 1000;
const BYTES: u64 = 256;

pub fn case<'a>(gpu: &'a Gpu, name: &Name<'_>) -> Result<Case<'a>> {
    match (name.words.as_slice(), name.sizes.as_slice()) {
        (["limit", "copy"], &[bytes]) => copy(gpu, bytes as u64),
        (["limit", "fma"], &[invocations]) => fma(gpu, invocations),
        (["launch", "dependent"], []) => dependent(gpu),
        (["launch", "independent"], []) => independent(gpu),
        _ => Err(name.unknown()),
    }
}

fn copy(gpu: &Gpu, bytes: u64) -> Result<Case<'_>> {
    let (x, y) = (gpu.buffer(bytes)?, gpu.buffer(bytes)?);
    gpu.clear(&x.view(0, bytes))?;
    let n4 = (bytes / 16) as usize;
    let run = move || {
        // SAFETY: both ranges have n4 vec4.
        let launch = unsafe { gpu.launch_unchecked(Kernel::new(&shaders::LIMIT_COPY, "main")) };
        let launch = launch.bind("x", x.view(0, bytes)).bind("y", y.view(0, bytes));
        Ok(launch.set("n4", n4).threads(n4).enqueue()?)
    };
    Ok(Case::op(gpu, "f32", run).work(0, 2 * bytes as usize))
}

/// Loop iterations of the arithmetic kernel, and the operations in one (`limit_fma.wgsl`).
const ITERATIONS: usize = 256;
const FLOPS_PER_ITERATION: usize = 8 * 12 * 2;

fn fma(gpu: &Gpu, invocations: usize) -> Result<Case<'_>> {
    let y = gpu.buffer(16 * invocations as u64)?;
    let run = move || {
        // SAFETY: the buffer has a vec4 for each invocation, whole workgroups of them.
        let launch = unsafe { gpu.launch_unchecked(Kernel::new(&shaders::LIMIT_FMA, "main")) };
        let launch = launch.constant("ITERATIONS", ITERATIONS).bind("y", y.whole());
        let launch = launch.set_f32("m", 0.999).set_f32("c", 0.001);
        Ok(launch.max_iterations(8 * ITERATIONS).threads(invocations).enqueue()?)
    };
    Ok(Case::op(gpu, "f32", run).work(invocations * ITERATIONS * FLOPS_PER_ITERATION, 0))
}

/// The smallest of launches.
fn small(gpu: &Gpu, x: View, y: View) -> Result<()> {
    let kernel = Kernel::new(&shaders::UNARY_FORWARD, "unary_forward")
        .with(&shaders::UNARY_NEG)
        .with(&shaders::LOAD_QUAD)
        .with(&shaders::STORE_QUAD);
    // SAFETY: both ranges have n4 vec4.
    let launch = unsafe { gpu.launch_unchecked(kernel) }.bind("x", x).bind("y", y);
    Ok(launch
        .set("n4", (BYTES / 16) as usize)
        .set_all_f32([("a", 0.0), ("b", 0.0), ("c", 0.0), ("d", 0.0)])
        .alias("X", "vec4<f32>")
        .alias("Y", "vec4<f32>")
        .alias("C", "f32")
        .threads(16)
        .enqueue()?)
}

/// Each reads what the one before wrote.
fn dependent(gpu: &Gpu) -> Result<Case<'_>> {
    let (x, y) = (gpu.buffer(BYTES)?, gpu.buffer(BYTES)?);
    let turn = std::cell::Cell::new(false);
    let run = move || {
        let forth = turn.replace(!turn.get());
        let (from, to): (&Buffer, &Buffer) = if forth { (&x, &y) } else { (&y, &x) };
        small(gpu, from.view(0, BYTES), to.view(0, BYTES))
    };
    Ok(Case::op(gpu, "f32", run).most(MOST))
}

/// All read one buffer, and each writes its own.
fn independent(gpu: &Gpu) -> Result<Case<'_>> {
    let x = gpu.buffer(BYTES)?;
    let ys = (0..MOST).map(|_| gpu.buffer(BYTES)).collect::<Result<Vec<_>, _>>()?;
    let turn = std::cell::Cell::new(0);
    let run = move || {
        let at = turn.replace((turn.get() + 1) % MOST);
        small(gpu, x.view(0, BYTES), ys[at].view(0, BYTES))
    };
    Ok(Case::op(gpu, "f32", run).most(MOST))
}
