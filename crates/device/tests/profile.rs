//! Profiles: what they say of a launch, how their times compare with the clock on the wall, and their trace.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::{Duration, Instant};

use serde_json::Value;
use wgrad_device::shaders::{self, File, Kernel};
use wgrad_device::{Gpu, LaunchProfile, Profile, Result, Timing};

use crate::helpers::elementwise;

/// An adapter with all its features, and one without timestamps.
fn gpus() -> [Gpu; 2] {
    [Gpu::builder().quiet().build().unwrap(), Gpu::builder().quiet().baseline().build().unwrap()]
}

/// Long enough for any clock: a recurrence of `n` steps in each of `4096` invocations.
static SLOW: File = File::new(
    "slow",
    "
struct Params { n: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> sum: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    var state = x[0] + id.x;
    for (var i = 0u; i < p.n; i++) {
        state = (state ^ (state >> 7u)) * 1664525u + i;
    }
    sum[id.x] += state;
    y[id.x] = state;
}
",
);

/// Three slow launches, a copy and a clear, which take `n` steps.
fn work(gpu: &Gpu, n: usize) -> Result<Vec<u32>> {
    let x = gpu.upload(&[7u32; 16])?;
    let (sum, y) = (gpu.buffer(4 * 4096)?, gpu.buffer(8 * 4096)?);
    gpu.clear(&sum.view(0, 4 * 4096))?;
    for _ in 0..3 {
        let launch = gpu
            .launch(Kernel::new(&SLOW, "main"))
            .bind("x", x.view(0, 64))
            .bind("sum", sum.view(0, 4 * 4096));
        launch
            .bind("y", y.view(0, 8 * 4096))
            .set("n", n)
            .max_iterations(n)
            .flops(4096 * n as u64)
            .groups(64)
            .enqueue()?;
    }
    gpu.copy(&sum.view(0, 4 * 4096), &y.view(4 * 4096, 4 * 4096))?;
    gpu.read(&y.view(0, 8 * 4096))
}

fn slow(profile: &Profile) -> Vec<&LaunchProfile> {
    profile.launches.iter().filter(|launch| launch.name == "slow").collect()
}

#[test]
fn a_profile_holds_every_launch_and_changes_no_result() {
    for gpu in gpus() {
        let without = work(&gpu, 1000).unwrap();
        gpu.start_profile().unwrap();
        let with = work(&gpu, 1000).unwrap();
        let profile = gpu.take_profile().unwrap();
        assert_eq!(with, without);
        assert_eq!(profile.adapter, gpu.info().name);
        let launches = slow(&profile);
        assert_eq!(launches.len(), 3);
        for launch in launches {
            assert_eq!(launch.grid, [64, 1, 1]);
            // What is read and written counts in both.
            assert_eq!((launch.bytes_read, launch.bytes_written), (64 + 4 * 4096, 12 * 4096));
            assert_eq!(launch.flops, Some(4096 * 1000));
            assert!(launch.duration > Duration::ZERO && launch.host > Duration::ZERO, "{launch:?}");
        }
        let kernels = profile.kernels();
        let kernel = kernels.iter().find(|kernel| kernel.name == "slow").unwrap();
        assert_eq!((kernel.calls, kernel.flops), (3, Some(3 * 4096 * 1000)));
        assert_eq!(kernels.iter().map(|kernel| kernel.total).sum::<Duration>(), profile.total());
        // Nothing is profiled any more.
        work(&gpu, 10).unwrap();
        assert!(gpu.take_profile().unwrap().launches.is_empty());
    }
}

#[test]
fn a_launch_may_state_what_it_reads() {
    let [gpu, _] = gpus();
    let (x, y) = (gpu.upload(&[1.0f32; 1024]).unwrap(), gpu.buffer(4096).unwrap());
    gpu.start_profile().unwrap();
    let launch = elementwise(&gpu, &shaders::UNARY_NEG).bind("x", x.view(0, 4096)).bind("y", y.view(0, 4096));
    let launch = launch.set("n4", 1);
    launch.bytes_read(16).threads(1).enqueue().unwrap();
    let launch = gpu.take_profile().unwrap().launches.remove(0);
    assert_eq!((launch.bytes_read, launch.bytes_written), (16, 4096));
}

#[test]
fn a_device_without_timestamps_is_timed_by_the_host() {
    let [_, gpu] = gpus();
    gpu.start_profile().unwrap();
    work(&gpu, 10).unwrap();
    let profile = gpu.take_profile().unwrap();
    assert_eq!(profile.timing, Timing::Host);
    let names: Vec<_> = profile.launches.iter().map(|launch| launch.name.as_str()).collect();
    assert_eq!(names, ["write", "clear", "slow", "slow", "slow", "copy", "copy"]);
}

/// Timestamps may lie (software adapters have been seen to stamp when a command is queued). What they say must agree
/// with the clock on the wall, and with the work.
#[test]
fn times_agree_with_the_wall_and_grow_with_the_work() {
    for gpu in gpus() {
        work(&gpu, 10).unwrap();
        let measure = |n: usize| {
            gpu.start_profile().unwrap();
            let start = Instant::now();
            work(&gpu, n).unwrap();
            let wall = start.elapsed();
            let profile = gpu.take_profile().unwrap();
            let slow: Duration = slow(&profile).iter().map(|launch| launch.duration).sum();
            println!("{} {:?}: {n} steps took {slow:?} of {wall:?}", profile.adapter, profile.timing);
            (slow.as_secs_f64(), wall.as_secs_f64(), profile.total().as_secs_f64())
        };
        let (short, ..) = measure(6_000);
        let (long, wall, total) = measure(60_000);
        assert!(total <= wall, "launches took {total} s of {wall} s");
        assert!(total > 0.5 * wall, "launches took only {total} s of {wall} s");
        assert!(long > 3.0 * short, "ten times the work took {long} s after {short} s");
    }
}

#[test]
fn more_launches_than_a_query_set_holds() {
    for gpu in gpus() {
        let buffer = gpu.buffer(256).unwrap();
        gpu.start_profile().unwrap();
        for _ in 0..2100 {
            let launch = elementwise(&gpu, &shaders::UNARY_NEG).bind("x", buffer.view(0, 16));
            let other = gpu.buffer(256).unwrap();
            let launch = launch.bind("y", other.view(0, 16)).set("n4", 1);
            launch.threads(1).enqueue().unwrap();
        }
        let profile = gpu.take_profile().unwrap();
        assert_eq!(profile.launches.len(), 2100);
        assert!(
            profile.launches.iter().all(|l| l.name.starts_with("unary_forward+neg") && l.flops.is_none())
        );
        assert!(profile.launches.is_sorted_by_key(|launch| launch.start), "out of order");
        assert_eq!(profile.omitted, 0);
    }
}

/// The trace event format: an object with a list of events, of which a complete one has a name, a category, a phase,
/// a process, a thread, a start and a duration in microseconds, and arguments.
#[test]
fn the_trace_keeps_the_format() {
    for gpu in gpus() {
        gpu.start_profile().unwrap();
        work(&gpu, 1000).unwrap();
        let profile = gpu.take_profile().unwrap();
        let trace: Value = serde_json::from_str(&profile.trace()).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        let (metadata, complete): (Vec<_>, Vec<_>) = events.iter().partition(|event| event["ph"] == "M");
        assert_eq!(metadata.len(), 2);
        for (event, kind) in metadata.iter().zip(["process_name", "thread_name"]) {
            assert_eq!(event["name"], kind);
            assert!(event["args"]["name"].as_str().is_some_and(|name| !name.is_empty()));
        }
        assert_eq!(complete.len(), profile.launches.len());
        let mut end = 0.0;
        for (event, launch) in complete.iter().zip(&profile.launches) {
            assert_eq!(
                (&event["ph"], &event["name"]),
                (&Value::from("X"), &Value::from(launch.name.as_str()))
            );
            assert!(event["pid"].is_u64() && event["tid"].is_u64() && event["cat"].is_string());
            let (ts, dur) = (event["ts"].as_f64().unwrap(), event["dur"].as_f64().unwrap());
            // Events of one thread nest or follow each other; launches follow. A nanosecond may be lost in rounding.
            assert!(ts >= end - 0.002 && dur >= 0.0, "{event} begins before {end}");
            end = ts + dur;
            let args = &event["args"];
            assert_eq!(args["bytes read"], launch.bytes_read);
            assert_eq!(args.get("GFLOP/s").is_some(), launch.flops.is_some());
        }
    }
}

#[test]
fn limits_are_measured_and_shares_are_of_the_nearer_one() {
    let [gpu, _] = gpus();
    let roofline = gpu.measure_roofline().unwrap();
    println!("{roofline:?}");
    let composed = gpu.composed();
    let launched = composed.iter().map(|composed| (&composed.files[..], composed.entry.as_str()));
    assert_eq!(shaders::unlaunched(&["limits"], launched), [""; 0]);
    // Between a slow phone and the fastest accelerators there are.
    assert!((1e8..1e14).contains(&roofline.bytes_per_second), "{roofline:?}");
    assert!((1e8..1e16).contains(&roofline.flops_per_second), "{roofline:?}");
    let (flops, bytes) = (roofline.flops_per_second, roofline.bytes_per_second);
    assert_eq!(roofline.share(Some(0.5 * flops), 0.25 * bytes), 0.5);
    assert_eq!(roofline.share(None, 0.25 * bytes), 0.25);
    gpu.start_profile().unwrap();
    work(&gpu, 1000).unwrap();
    let table = gpu.take_profile().unwrap().table(&roofline);
    println!("{table}");
    assert!(table.lines().any(|line| line.starts_with("slow ") && line.contains(" 3 ")), "{table}");
}
