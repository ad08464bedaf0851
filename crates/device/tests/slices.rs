//! Slices: what is recorded gives the same results to the bit, however it is cut, and nothing waits.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use wgrad_device::shaders::{self, File, Kernel};
use wgrad_device::{Buffer, Error, Gpu, Result, Slice, Slicer, wgpu};

use crate::helpers::{borrowed, elementwise};

fn gpu() -> Gpu {
    Gpu::builder().poison().quiet().build().unwrap()
}

/// Adds what depends on the element to each element. A workgroup that ran twice, or not at all, would show.
static ADD_INDEX: File = File::new(
    "add_index",
    "
struct Params { first_group: u32, n: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = p.first_group + group.y * groups.x + group.x;
    if i < p.n {
        y[i] += 2u * i + 1u;
    }
}
",
);

/// The same without a way to cut it.
static ADD_ONE: File = File::new(
    "add_one",
    "
@group(0) @binding(1) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = group.y * groups.x + group.x;
    if i < arrayLength(&y) {
        y[i] += 1u;
    }
}
",
);

fn add_index(gpu: &Gpu, y: &Buffer, n: usize) -> Result<()> {
    gpu.launch(Kernel::new(&ADD_INDEX, "main"))
        .bind("y", y.view(0, 4 * n as u64))
        .set("n", n)
        .groups(n)
        .enqueue()
}

/// Submits all that is recorded in slices, on a device that may be waited for, and counts them.
fn drain(gpu: &Gpu, slicer: &mut Slicer, budget: Duration) -> Result<usize> {
    let mut slices = 0;
    while !gpu.pending_commands().is_empty() {
        if slicer.submit(budget)?.busy {
            gpu.device().poll(wgpu::PollType::wait_indefinitely()).unwrap();
        } else {
            slices += 1;
        }
    }
    Ok(slices)
}

#[test]
fn every_workgroup_of_a_launch_that_is_cut_runs_once() -> Result<()> {
    let gpu = gpu();
    let mut slicer = Slicer::new(&gpu);
    // Less than one row of the grid, a little more, and more than two, none of them a multiple of anything.
    for (n, budget) in [(1_009, 1), (65_537, 100), (150_001, 100), (150_001, 1000)] {
        let y = gpu.upload(&vec![5u32; n])?;
        for _ in 0..3 {
            add_index(&gpu, &y, n)?;
        }
        let slices = drain(&gpu, &mut slicer, Duration::from_micros(budget))?;
        assert!(slices > 3, "{n} workgroups in {slices} slices: none was cut");
        let got = gpu.read::<u32>(&y.view(0, 4 * n as u64))?;
        let wrong = got.iter().enumerate().find(|&(i, &v)| v != 5 + 3 * (2 * i as u32 + 1));
        assert_eq!(wrong, None, "of {n}, in {slices} slices");
    }
    Ok(())
}

#[test]
fn a_kernel_that_cannot_be_cut_runs_whole() -> Result<()> {
    let gpu = gpu();
    let y = gpu.upload(&[7u32; 1000])?;
    for _ in 0..2 {
        gpu.launch(Kernel::new(&ADD_ONE, "main")).bind("y", y.view(0, 4000)).groups(1000).enqueue()?;
    }
    // Each write and each launch is a slice.
    let commands = gpu.pending_commands().len();
    assert_eq!(drain(&gpu, &mut Slicer::new(&gpu), Duration::ZERO)?, commands);
    assert_eq!(gpu.read::<u32>(&y.view(0, 4000))?, [9; 1000]);
    Ok(())
}

/// Writes small and large, launches, copies, clears and reads, each depending on the one before. Returns what was read.
fn program(gpu: &Gpu, run: &mut dyn FnMut() -> Result<()>) -> Result<Vec<Vec<u32>>> {
    const N: usize = 300_001;
    let whole = |buffer: &Buffer| buffer.view(0, 4 * N as u64);
    let (mut a, b) = (gpu.upload(&vec![1u32; N])?, gpu.buffer(4 * N as u64)?);
    let mut reads = Vec::new();
    for round in 0..4u32 {
        add_index(gpu, &a, N)?;
        gpu.write(&a.view(4 * u64::from(round), 8), &[round, round + 1])?;
        gpu.copy(&whole(&a), &whole(&b))?;
        gpu.clear(&a.view(400, 400))?;
        reads.push(gpu.read_later::<u32>(&b.view(0, 4000))?);
        // More than travels inside of a recording.
        gpu.write(&b.view(4, 1_199_996), &vec![round; 299_999])?;
        add_index(gpu, &b, N)?;
        // Dropped while it is recorded: the pool hands it out again for what is recorded later.
        a = gpu.buffer(4 * N as u64)?;
        gpu.copy(&whole(&b), &whole(&a))?;
        reads.push(gpu.read_later::<u32>(&a.view(4 * (N as u64 - 1000), 4000))?);
        run()?;
    }
    gpu.submit()?;
    reads.into_iter().map(|read| read.wait()).collect()
}

#[test]
fn writes_copies_and_reads_keep_their_order_in_slices() -> Result<()> {
    let want = program(&gpu(), &mut || Ok(()))?;
    for budget in [50, 500, 5000] {
        let gpu = gpu();
        let mut slicer = Slicer::new(&gpu);
        let got = program(&gpu, &mut || {
            // Some of what is recorded, so that the next round is appended to a rest.
            let _ = slicer.submit(Duration::from_micros(budget))?;
            Ok(())
        })?;
        assert!(got == want, "in slices of {budget} µs");
        let got = program(&gpu, &mut || drain(&gpu, &mut slicer, Duration::from_micros(budget)).map(drop))?;
        assert!(got == want, "in nothing but slices of {budget} µs");
    }
    Ok(())
}

#[test]
fn two_slices_may_be_unfinished_and_nothing_polls_for_them() -> Result<()> {
    let gpu = borrowed();
    let y = gpu.upload(&[0u32; 100])?;
    let mut slicer = Slicer::new(&gpu);
    // What is encoded and not submitted cannot be done, however fast the device is.
    let mut encoded = Vec::new();
    for _ in 0..2 {
        add_index(&gpu, &y, 100)?;
        let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        assert!(!slicer.encode_into(&mut encoder, Duration::from_secs(1))?.busy);
        encoded.push(encoder.finish());
    }
    add_index(&gpu, &y, 100)?;
    assert!(slicer.submit(Duration::from_secs(1))?.busy);
    assert_eq!(gpu.pending_commands().len(), 1, "it was not taken");
    gpu.queue().submit(encoded);
    for _ in 0..20 {
        assert!(!slicer.ready()?, "it cannot know: the application has not polled");
        std::thread::sleep(Duration::from_millis(1));
    }
    gpu.device().poll(wgpu::PollType::wait_indefinitely()).unwrap();
    assert!(!slicer.submit(Duration::from_secs(1))?.busy);
    assert_eq!(gpu.read::<u32>(&y.view(4, 4))?, [9]);
    Ok(())
}

#[test]
fn an_encoder_of_the_application_runs_what_was_recorded() -> Result<()> {
    let gpu = borrowed();
    let mut slicer = Slicer::new(&gpu);
    let y = gpu.upload(&[3u32; 5000])?;
    let mut reads = Vec::new();
    let mut encoded = Vec::new();
    for round in 0..2 {
        add_index(&gpu, &y, 5000)?;
        gpu.write(&y.view(0, 4), &[100u32 + round])?;
        reads.push(gpu.read_later::<u32>(&y.view(0, 20_000))?);
        let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let slice = slicer.encode_into(&mut encoder, Duration::from_secs(1))?;
        assert_eq!((slice.launches, slice.busy), (1, false));
        assert!(gpu.pending_commands().is_empty());
        // Not submitted before the next is encoded: each brings its own parameters and bytes.
        encoded.push(encoder.finish());
    }
    let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    assert!(slicer.encode_into(&mut encoder, Duration::from_secs(1))?.busy);
    let early = reads.remove(0);
    let later = reads.remove(0);
    match early.wait() {
        Err(Error::Readback { message }) => assert!(message.contains("not submitted"), "{message}"),
        other => panic!("{other:?}"),
    }
    gpu.queue().submit(encoded);
    let want: Vec<u32> = (0..5000).map(|i| if i == 0 { 101 } else { 3 + 2 * (2 * i + 1) }).collect();
    assert_eq!(later.wait()?, want);
    assert!(slicer.ready()?);
    Ok(())
}

#[test]
fn an_encoder_that_is_dropped_does_not_stop_the_slices_after_it() -> Result<()> {
    let gpu = borrowed();
    let mut slicer = Slicer::new(&gpu);
    let y = gpu.upload(&[0u32; 10])?;
    gpu.submit()?;
    for _ in 0..5 {
        add_index(&gpu, &y, 10)?;
        let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        assert_eq!(slicer.encode_into(&mut encoder, Duration::from_secs(1))?.launches, 1);
    }
    add_index(&gpu, &y, 10)?;
    assert_eq!(slicer.submit(Duration::from_secs(1))?.launches, 1);
    let want: Vec<u32> = (0..10).map(|i| 2 * i + 1).collect();
    assert_eq!(gpu.read::<u32>(&y.view(0, 40))?, want, "only the last was submitted");
    Ok(())
}

#[test]
fn slices_are_measured_and_their_estimates_come_near() -> Result<()> {
    // Without poison, whose copies would be slices of their own.
    let gpu = Gpu::builder().quiet().build()?;
    if !gpu.device().features().contains(wgpu::Features::TIMESTAMP_QUERY) {
        panic!("this test needs an adapter with timestamps");
    }
    let mut slicer = Slicer::new(&gpu);
    let n = 1 << 20;
    let x = gpu.upload(&vec![1.0f32; 4 * n])?;
    let mut estimates = Vec::new();
    for _ in 0..200 {
        if gpu.pending_commands().len() < 4 {
            let y = gpu.buffer(x.size())?;
            let launch = elementwise(&gpu, &shaders::UNARY_NEG).bind("x", x.whole()).bind("y", y.whole());
            launch.set("n4", n).threads(n).enqueue()?;
        }
        estimates.push(slicer.submit(Duration::from_millis(1))?.estimate);
        gpu.device().poll(wgpu::PollType::wait_indefinitely()).unwrap();
    }
    assert!(slicer.ready()?);
    let times: Vec<Duration> = slicer.times().collect();
    assert_eq!(times.len(), 200);
    assert!(times.iter().all(|time| !time.is_zero()));
    // Estimates follow what was measured: neither is a constant. Other programs disturb single slices, not half of them.
    let sum = |times: &[Duration]| times[100..].iter().sum::<Duration>().as_secs_f64();
    let ratio = sum(&estimates) / sum(&times);
    assert!((0.2..5.0).contains(&ratio), "estimates are {ratio} times what slices took");
    Ok(())
}

#[test]
fn a_profile_may_be_taken_of_slices() -> Result<()> {
    let gpu = gpu();
    let y = gpu.upload(&[0u32; 1000])?;
    gpu.start_profile()?;
    add_index(&gpu, &y, 1000)?;
    let slices = drain(&gpu, &mut Slicer::new(&gpu), Duration::from_micros(1))?;
    let profile = gpu.take_profile()?;
    assert!(slices > 1);
    assert_eq!(profile.launches.iter().filter(|launch| launch.name == "add_index").count(), slices);
    assert_eq!(gpu.read::<u32>(&y.view(4 * 999, 4))?, [2 * 999 + 1]);
    Ok(())
}

#[test]
fn a_lost_device_ends_slices() -> Result<()> {
    fn lost(result: Result<Slice>, slices: usize) {
        assert!(matches!(result, Err(Error::Lost { .. })), "{result:?} with {slices} under way");
    }
    for slices in 0..=2 {
        let gpu = borrowed();
        let y = gpu.upload(&[0u32; 1000])?;
        let mut slicer = Slicer::new(&gpu);
        for _ in 0..slices {
            add_index(&gpu, &y, 1000)?;
            assert!(slicer.submit(Duration::from_secs(1))?.launches > 0);
        }
        add_index(&gpu, &y, 1000)?;
        gpu.device().destroy();
        // Two unfinished slices stay so, because the application polls its lost device no more.
        lost(slicer.submit(Duration::from_secs(1)), slices);
        let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        lost(slicer.encode_into(&mut encoder, Duration::from_secs(1)), slices);
        assert!(matches!(slicer.ready(), Err(Error::Lost { .. })));
    }
    let gpu = borrowed();
    let y = gpu.upload(&[0u32; 1000])?;
    add_index(&gpu, &y, 1000)?;
    gpu.device().destroy();
    let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    lost(Slicer::new(&gpu).encode_into(&mut encoder, Duration::from_secs(1)), 0);
    Ok(())
}

#[test]
fn a_recording_that_is_never_empty_stays_right_and_small() -> Result<()> {
    let gpu = gpu();
    let mut slicer = Slicer::new(&gpu);
    let (y, z) = (gpu.upload(&[0u32; 3])?, gpu.buffer(1024)?);
    let rounds = 300;
    for round in 0..rounds {
        add_index(&gpu, &y, 3)?;
        gpu.write(&z.view(0, 1024), &[round; 256])?;
        // A workgroup or a write at a time, so that something is always left.
        while gpu.pending_commands().len() > 2 {
            if slicer.submit(Duration::ZERO)?.busy {
                gpu.device().poll(wgpu::PollType::wait_indefinitely()).unwrap();
            }
        }
    }
    assert!(gpu.pending_bytes() < 128 << 10, "{} bytes are kept for two commands", gpu.pending_bytes());
    assert_eq!(gpu.read::<u32>(&y.view(0, 12))?, [rounds, 3 * rounds, 5 * rounds]);
    assert_eq!(gpu.read::<u32>(&z.view(1020, 4))?, [rounds - 1]);
    Ok(())
}

#[test]
fn an_owned_device_goes_on_without_polls() -> Result<()> {
    let gpu = gpu();
    let mut slicer = Slicer::new(&gpu);
    let y = gpu.upload(&[0u32; 100])?;
    let began = std::time::Instant::now();
    for _ in 0..10 {
        add_index(&gpu, &y, 100)?;
        while !gpu.pending_commands().is_empty() {
            slicer.submit(Duration::from_millis(1))?;
            assert!(began.elapsed() < Duration::from_secs(60), "slices are never seen to be done");
        }
    }
    assert_eq!(gpu.read::<u32>(&y.view(4, 4))?, [30]);
    Ok(())
}

#[test]
fn a_large_write_waits_for_an_encoder_of_the_application() -> Result<()> {
    let gpu = gpu();
    let mut slicer = Slicer::new(&gpu);
    let (x, y) = (gpu.upload(&vec![1u32; 300_000])?, gpu.buffer(1_200_000)?);
    gpu.submit()?;
    gpu.copy(&x.view(0, 1_200_000), &y.view(0, 1_200_000))?;
    let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    slicer.encode_into(&mut encoder, Duration::from_secs(1))?;
    // More than travels inside of a recording, into what the encoder still has to read.
    gpu.write(&x.view(0, 1_200_000), &vec![2u32; 300_000])?;
    gpu.queue().submit([encoder.finish()]);
    assert_eq!(gpu.read::<u32>(&y.view(0, 8))?, [1, 1]);
    assert_eq!(gpu.read::<u32>(&x.view(0, 8))?, [2, 2]);
    Ok(())
}
