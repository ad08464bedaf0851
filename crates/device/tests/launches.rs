//! Launches: grids, loop limits, shaders that don't compile, and what a repeated step costs.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use wgrad_device::shaders::{self, File, Kernel};
use wgrad_device::{Error, Gpu, MAX_ITERATIONS, Result};

use crate::helpers::elementwise;

fn gpu() -> Gpu {
    Gpu::builder().poison().quiet().build().unwrap()
}

/// One invocation that runs three loops one after the other, the last of which holds another, as often as it is told at run
/// time. The recurrence has no closed form that a compiler could put in a loop's place.
static RECURRENCE: File = File::new(
    "recurrence",
    "
struct Params { first: u32, second: u32, outer: u32, inner: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;
var<private> state = 1u;
var<private> count = 0u;

fn iterate() {
    state = (state ^ (state >> 7u)) * 1664525u + count;
    count++;
}

@compute @workgroup_size(1)
fn main() {
    for (var i = 0u; i < p.first; i++) {
        iterate();
    }
    for (var i = 0u; i < p.second; i++) {
        iterate();
    }
    for (var i = 0u; i < p.outer; i++) {
        for (var j = 0u; j < p.inner; j++) {
            iterate();
        }
    }
    out[0] = state;
    out[1] = count;
}
",
);

/// How often each of the recurrence's loops runs.
type Loops = [usize; 4];

fn recurrence([first, second, outer, inner]: Loops) -> [u32; 2] {
    let n = (first + second + outer * inner) as u32;
    let step = |state: u32, i| (state ^ (state >> 7)).wrapping_mul(1_664_525).wrapping_add(i);
    [(0..n).fold(1, step), n]
}

/// The iterations that a launch has to state for them.
fn iterations([first, second, outer, inner]: Loops) -> usize {
    (first + 1) + (second + 1) + (outer + 1) + outer * (inner + 1)
}

/// Runs these loops while `stated` iterations were stated.
fn run(gpu: &Gpu, loops: Loops, stated: Option<usize>) -> Result<Vec<u32>> {
    let out = gpu.buffer(8)?;
    let launch =
        gpu.launch(Kernel::new(&RECURRENCE, "main")).bind("out", out.view(0, 8)).set("first", loops[0]);
    let launch = launch.set("second", loops[1]).set("outer", loops[2]).set("inner", loops[3]);
    let launch = if let Some(most) = stated { launch.max_iterations(most) } else { launch };
    launch.groups(1).enqueue()?;
    gpu.read(&out.view(0, 8))
}

/// A single loop, several and nested ones, exactly as many iterations as a launch may state.
#[test]
fn the_most_iterations_that_a_launch_may_state_are_all_run() {
    let gpu = gpu();
    let most = MAX_ITERATIONS as usize;
    let edges = [
        [most - 3, 0, 0, 0],
        [0, most - 3, 0, 0],
        [21_844, 21_844, 1, 21_842],
        [30_000, 35_532, 0, 9],
        [0, 0, 32_766, 0],
        [0, 1, 253, 257],
        [0, 0, 254, 256],
        [0, 0, 1, 65_530],
    ];
    for loops in edges {
        assert!(
            iterations(loops) <= most && iterations(loops) + 260 > most,
            "{loops:?}: {}",
            iterations(loops)
        );
        assert_eq!(run(&gpu, loops, Some(iterations(loops))).unwrap(), recurrence(loops), "{loops:?}");
    }
    for loops in [[0; 4], [1, 0, 0, 0], [0, 0, 1000, 1]] {
        assert_eq!(run(&gpu, loops, Some(iterations(loops))).unwrap(), recurrence(loops), "{loops:?}");
    }
}

#[test]
fn more_iterations_are_refused() {
    let gpu = gpu();
    for stated in [65_536, 100_000, usize::MAX] {
        let result = run(&gpu, [1, 0, 0, 0], Some(stated));
        if gpu.loop_limit() == u64::MAX {
            assert_eq!(result.unwrap(), recurrence([1, 0, 0, 0]));
            continue;
        }
        let error = result.unwrap_err();
        assert!(matches!(&error, Error::Launch { kernel, .. } if kernel == "recurrence"), "{error}");
        assert!(error.to_string().contains(&stated.to_string()), "{error}");
        assert!(gpu.pending_commands().iter().all(|command| command.name != "recurrence"));
    }
}

#[test]
fn a_loop_without_a_stated_count_is_refused() {
    let error = run(&gpu(), [1, 0, 0, 0], None).unwrap_err();
    assert!(matches!(&error, Error::Launch { kernel, .. } if kernel == "recurrence"), "{error}");
    assert!(error.to_string().contains("loop"), "{error}");
}

/// Why the limit exists: an adapter may leave a longer loop silently. The launch lies about its count here, which no op
/// does, so that the loops run; the adapter shows what it does, and the limit must hold wherever it cuts one short.
#[test]
fn truncated_loops_are_noticed() {
    let gpu = gpu();
    // Far too long, and one iteration more than is right in one loop, in three, and in nested ones.
    for loops in [[100_000, 0, 0, 0], [0, 0, 400, 400], [65_536, 0, 0, 0], [21_846, 21_846, 1, 21_846]] {
        let got = run(&gpu, loops, Some(1)).unwrap();
        let is_cut = got != recurrence(loops);
        assert_eq!(is_cut, got[1] != recurrence(loops)[1], "{loops:?}: {got:?}");
        assert!(
            !is_cut || gpu.loop_limit() == MAX_ITERATIONS,
            "{loops:?} cut short to {got:?} without a limit"
        );
        if gpu.info().driver_info.starts_with("Mesa 22.") {
            assert!(is_cut, "{loops:?} are run: the limit may be lifted for {}", gpu.info().driver_info);
        }
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
        let launch = elementwise(&gpu, &shaders::UNARY_NEG).bind("x", view(&x_buffer)).bind("y", view(&y));
        let launch = launch.set("n4", threads);
        launch.threads(threads).enqueue().unwrap();
        let grid = gpu.pending_commands().last().unwrap().grid;
        assert_eq!(grid[1], if threads > 65_535 * 64 { 2 } else { 1 }, "{grid:?}");
        let got = gpu.read::<f32>(&view(&y)).unwrap();
        assert!(got.iter().zip(&x).all(|(y, x)| *y == -x), "{threads} threads");
    }
}

#[test]
fn grids_beyond_the_adapter_are_refused() {
    let gpu = gpu();
    let out = gpu.buffer(8).unwrap();
    let launch = || {
        let launch = gpu
            .launch(Kernel::new(&RECURRENCE, "main"))
            .bind("out", out.view(0, 8))
            .set("first", 1)
            .set("second", 0);
        launch.set("outer", 0).set("inner", 0).max_iterations(5)
    };
    for error in [
        launch().grid([65_536, 1, 1]).enqueue().unwrap_err(),
        launch().grid([1, usize::MAX, 1]).enqueue().unwrap_err(),
        launch().groups(65_535 * 65_535 + 1).enqueue().unwrap_err(),
    ] {
        assert!(matches!(error, Error::Launch { .. }) && error.to_string().contains("65535"), "{error}");
    }
    let before = gpu.pending_commands().len();
    launch().groups(0).enqueue().unwrap();
    assert_eq!(gpu.pending_commands().len(), before, "an empty grid is no launch");
}

/// Text that does not compile, each with what the error must say. The last is valid WGSL, but has more invocations than
/// any device allows: the driver's side refuses it.
const WRONG: [(&str, &str, &str); 6] = [
    ("no_wgsl", "fn main() {\n    let x = ;\n}", "no_wgsl:2:13"),
    ("no_types", "@compute @workgroup_size(1) fn main() {\n  let x = 1u + 1.0f;\n}", "no_types:2:"),
    ("no_value", "fn f() -> u32 { }\n@compute @workgroup_size(1) fn main() { _ = f(); }", "no_value:1:"),
    ("no_entry", "fn other() {}", "no entry point"),
    ("no_file", "// Uses: nothing_such.\n@compute @workgroup_size(1) fn main() {}", "nothing_such"),
    ("too_wide", "@compute @workgroup_size(65536) fn main() {}", ""),
];

#[test]
fn shaders_that_do_not_compile_are_named() {
    let gpu = gpu();
    for (name, text, part) in WRONG {
        let file = File::new(name, text);
        let error = gpu.launch(Kernel::new(&file, "main")).groups(1).enqueue().unwrap_err();
        assert!(matches!(error, Error::Shader { .. }), "{error}");
        assert!(error.to_string().contains(name) && error.to_string().contains(part), "{error}");
    }
    // The device is none the worse for it.
    assert_eq!(run(&gpu, [10, 0, 0, 0], Some(14)).unwrap(), recurrence([10, 0, 0, 0]));
}

#[test]
fn a_repeated_step_makes_no_bind_group_and_no_buffer() -> Result<()> {
    let gpu = gpu();
    let step = |i: f32| -> Result<()> {
        let x = gpu.upload(&[i; 64])?;
        let mut y = x;
        for _ in 0..5 {
            let next = gpu.buffer(256)?;
            let launch = elementwise(&gpu, &shaders::UNARY_NEG).bind("x", y.whole()).bind("y", next.whole());
            launch.set("n4", 16).threads(16).enqueue()?;
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
