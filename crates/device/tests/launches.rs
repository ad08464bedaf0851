//! Launches: grids, loop limits, shaders that don't compile, and what a repeated step costs.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use wgrad_device::shaders::{self, Kernel};
use wgrad_device::{Error, Gpu, MAX_TRIPS, Result};

fn gpu() -> Gpu {
    Gpu::builder().poison().quiet().build().unwrap()
}

/// One invocation that loops as often as it is told at run time. The recurrence has no closed form that a compiler
/// could put in the loop's place.
static RECURRENCE: Kernel = Kernel {
    name: "recurrence",
    entry: "main",
    files: &["
struct Params { n: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(1)
fn main() {
    var state = 1u;
    var count = 0u;
    for (var i = 0u; i < p.n; i++) {
        state = (state ^ (state >> 7u)) * 1664525u + i;
        count++;
    }
    out[0] = state;
    out[1] = count;
}
"],
};

fn recurrence(n: u32) -> [u32; 2] {
    let step = |state: u32, i| (state ^ (state >> 7)).wrapping_mul(1_664_525).wrapping_add(i);
    [(0..n).fold(1, step), n]
}

/// Runs `n` iterations while `stated` were stated.
fn run(gpu: &Gpu, n: u32, stated: Option<usize>) -> Result<Vec<u32>> {
    let out = gpu.buffer(8)?;
    let launch = gpu.launch(&RECURRENCE).bind("out", out.view(0, 8)).set("n", n as usize);
    let launch = if let Some(trips) = stated { launch.trips(trips) } else { launch };
    launch.groups(1).record()?;
    gpu.read(&out.view(0, 8))
}

#[test]
fn the_most_iterations_that_a_launch_may_state_are_all_run() {
    let gpu = gpu();
    let most = u32::try_from(MAX_TRIPS).unwrap();
    for n in [0, 1, 1000, most - 1, most] {
        assert_eq!(run(&gpu, n, Some(n as usize)).unwrap(), recurrence(n), "{n} iterations");
    }
}

#[test]
fn more_iterations_are_refused() {
    let gpu = gpu();
    for trips in [65_536, 100_000, usize::MAX] {
        let error = run(&gpu, 1, Some(trips)).unwrap_err();
        assert!(matches!(error, Error::Launch { kernel: "recurrence", .. }), "{error}");
        assert!(error.to_string().contains(&trips.to_string()), "{error}");
    }
    assert!(gpu.recorded().iter().all(|command| command.name != "recurrence"));
}

#[test]
fn a_loop_without_a_stated_count_is_refused() {
    let error = run(&gpu(), 1, None).unwrap_err();
    assert!(matches!(error, Error::Launch { kernel: "recurrence", .. }), "{error}");
    assert!(error.to_string().contains("loop"), "{error}");
}

/// Why the limit exists: llvmpipe leaves a longer loop silently. The launch lies about its count here, which no op
/// does, so that the loop runs; comparing with the reference must show what happens.
#[test]
fn truncated_loops_are_noticed() {
    let gpu = gpu();
    let (n, stated) = (100_000, Some(1));
    let got = run(&gpu, n, stated).unwrap();
    let noticed = got != recurrence(n);
    if gpu.info().name.contains("llvmpipe") {
        assert!(noticed, "llvmpipe runs {n} iterations now: MAX_TRIPS may be lifted for it");
        assert!(got[1] < n, "{got:?}");
    } else {
        // An adapter either runs all of them or is caught.
        assert_eq!(noticed, got[1] != n, "{got:?}");
    }
}

#[test]
fn grids_fold_past_the_limit_of_one_axis() {
    let gpu = gpu();
    for threads in [65_535 * 64 - 1, 65_535 * 64, 65_535 * 64 + 1] {
        // One invocation a vec4; the input is small numbers that f32 holds exactly.
        let x: Vec<f32> = (0..4 * threads).map(|i| (i % 1_000_003) as f32).collect();
        let (x_buffer, y) = (gpu.upload(&x).unwrap(), gpu.buffer(16 * threads as u64).unwrap());
        let view = |buffer: &wgrad_device::Buffer| buffer.view(0, 16 * threads as u64);
        let launch = gpu.launch(&shaders::NEG).bind("x", view(&x_buffer)).bind("y", view(&y));
        let launch = launch.set("n4", threads).set_f32("a", 0.0).set_f32("b", 0.0);
        launch.threads(threads).record().unwrap();
        let grid = gpu.recorded().last().unwrap().grid;
        assert_eq!(grid[1], if threads > 65_535 * 64 { 2 } else { 1 }, "{grid:?}");
        let got = gpu.read::<f32>(&view(&y)).unwrap();
        assert!(got.iter().zip(&x).all(|(y, x)| *y == -x), "{threads} threads");
    }
}

#[test]
fn grids_beyond_the_adapter_are_refused() {
    let gpu = gpu();
    let out = gpu.buffer(8).unwrap();
    let launch = || gpu.launch(&RECURRENCE).bind("out", out.view(0, 8)).set("n", 1).trips(1);
    for error in [
        launch().grid([65_536, 1, 1]).record().unwrap_err(),
        launch().grid([1, usize::MAX, 1]).record().unwrap_err(),
        launch().groups(65_535 * 65_535 + 1).record().unwrap_err(),
    ] {
        assert!(matches!(error, Error::Launch { .. }) && error.to_string().contains("65535"), "{error}");
    }
    let before = gpu.recorded().len();
    launch().groups(0).record().unwrap();
    assert_eq!(gpu.recorded().len(), before, "an empty grid is no launch");
}

static NO_WGSL: Kernel = Kernel { name: "no_wgsl", entry: "main", files: &["fn main() { let x = ; }"] };
static NO_TYPES: Kernel = Kernel {
    name: "no_types",
    entry: "main",
    files: &["@compute @workgroup_size(1) fn main() { let x = 1u + 1.0f; }"],
};
static NO_ENTRY: Kernel = Kernel { name: "no_entry", entry: "main", files: &["fn other() {}"] };
/// Valid WGSL, but more invocations than any device allows: the driver's side refuses it.
static TOO_WIDE: Kernel =
    Kernel { name: "too_wide", entry: "main", files: &["@compute @workgroup_size(65536) fn main() {}"] };

#[test]
fn shaders_that_do_not_compile_are_named() {
    let gpu = gpu();
    for kernel in [&NO_WGSL, &NO_TYPES, &NO_ENTRY, &TOO_WIDE] {
        let error = gpu.launch(kernel).groups(1).record().unwrap_err();
        assert!(matches!(error, Error::Shader { .. }), "{error}");
        assert!(error.to_string().contains(kernel.name), "{error}");
    }
    // The device is none the worse for it.
    assert_eq!(run(&gpu, 10, Some(10)).unwrap(), recurrence(10));
}

#[test]
fn a_repeated_step_makes_no_bind_group_and_no_buffer() -> Result<()> {
    let gpu = gpu();
    let step = |i: f32| -> Result<()> {
        let x = gpu.upload(&[i; 64])?;
        let mut y = x;
        for _ in 0..5 {
            let next = gpu.buffer(256)?;
            let launch = gpu.launch(&shaders::NEG).bind("x", y.whole()).bind("y", next.whole());
            launch.set("n4", 16).set_f32("a", 0.0).set_f32("b", 0.0).threads(16).record()?;
            y = next;
        }
        assert_eq!(gpu.read::<f32>(&y.whole())?, [-i; 64]);
        Ok(())
    };
    (0..4).try_for_each(|i| step(i as f32))?;
    let (groups, memory, modules) = (gpu.bind_groups_created(), gpu.memory(), gpu.composed().len());
    assert!(groups > 0);
    (0..100).try_for_each(|i| step(i as f32))?;
    assert_eq!(gpu.bind_groups_created(), groups);
    assert_eq!(gpu.memory(), memory);
    assert_eq!(gpu.composed().len(), modules);
    Ok(())
}
