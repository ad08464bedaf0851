//! Every kernel with workgroup memory gives the same bits each time: a barrier that is missing would show on hardware as
//! results that differ now and then. A software adapter runs a workgroup on one thread and shows nothing, so there a few
//! turns try the test itself; `WGRAD_REPEATS` asks for more (`ci/gpu`: 200).

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;

use half::f16;
use wgrad_autograd::device::{Family, shaders, wgpu};
use wgrad_autograd::{Conv2dOptions, DType, Gpu, Tensor};
use wgrad_testkit::sample::Sampler;

use crate::table;

fn repeats() -> usize {
    std::env::var("WGRAD_REPEATS").ok().and_then(|n| n.parse().ok()).unwrap_or(3)
}

/// Every file with workgroup memory that ops launch; those of optimizers are repeated by their own crate's tests.
fn shared_files() -> BTreeSet<&'static str> {
    shaders::ALL
        .iter()
        .filter(|file| file.text().contains("var<workgroup>") && file.folder() != "optim")
        .map(|file| file.name())
        .collect()
}

/// Runs what `record` records again and again, and compares what it gives.
fn repeat(gpu: &Gpu, name: &str, record: impl Fn() -> Vec<Tensor>) {
    let run = || -> Vec<u32> {
        let reads: Vec<_> = record()
            .iter()
            .map(|output| output.to_dtype(DType::F32).unwrap().read_later().unwrap())
            .collect();
        gpu.submit().unwrap();
        reads.into_iter().flat_map(|read| read.wait().unwrap()).map(f32::to_bits).collect()
    };
    let first = run();
    for turn in 1..repeats() {
        let again = run();
        let differing = first.iter().zip(&again).filter(|(a, b)| a != b).count();
        assert!(
            first.len() == again.len() && differing == 0,
            "{name}: {differing} of {} values differ in turn {turn} on {}",
            first.len(),
            gpu.info().name
        );
    }
}

fn is_software(gpu: &Gpu) -> bool {
    gpu.info().device_type == wgpu::DeviceType::Cpu
}

/// Hardware repeats every case of the table that launches such a kernel. A software adapter, which takes long to compile
/// them, repeats one case for each kernel.
#[test]
fn kernels_with_workgroup_memory_give_the_same_bits_each_time() {
    let gpu = Gpu::builder().family(Family::Gpu).quiet().build().unwrap();
    // Tells what a case launches, and runs nothing.
    let recorder = Gpu::builder().family(Family::Gpu).quiet().build().unwrap();
    let shared = shared_files();
    let (mut visited, mut unvisited) = (BTreeSet::new(), shared.clone());
    assert!(!shared.is_empty());
    for row in table::rows() {
        for ((name, record), (_, look)) in row.recorders(&gpu).zip(row.recorders(&recorder)) {
            let before = recorder.pending_commands().len();
            drop(look());
            let recorded = recorder.pending_commands();
            let launched: BTreeSet<_> =
                recorded.get(before..).unwrap_or(&recorded).iter().map(|command| &command.name).collect();
            let composed =
                recorder.composed().into_iter().filter(|composed| launched.contains(&composed.kernel));
            let ours: Vec<_> = composed
                .filter(|composed| composed.files.iter().any(|f| shared.contains(f.as_str())))
                .collect();
            if ours.iter().any(|composed| !is_software(&gpu) || !visited.contains(&composed.kernel)) {
                repeat(&gpu, &name, record);
                let files: BTreeSet<_> = ours.iter().flat_map(|composed| &composed.files).collect();
                unvisited.retain(|file| !files.iter().any(|visited| visited == file));
                visited.extend(ours.into_iter().map(|composed| composed.kernel));
            }
        }
    }
    if gpu.has_f16() {
        halves(&gpu);
    }
    assert!(unvisited.is_empty(), "nothing repeats {unvisited:?}");
}

/// Products of f16: large enough for many workgroups at a time.
fn halves(gpu: &Gpu) {
    let mut sampler = Sampler::new(9);
    let mut half = |shape: &[usize]| {
        let values: Vec<f16> =
            sampler.uniform(shape, -1.0, 1.0).data.into_iter().map(f16::from_f64).collect();
        Tensor::from_slice(gpu, &values, shape).unwrap()
    };
    let (a, b) = (half(&[130, 300]), half(&[300, 132]));
    repeat(gpu, "matmul of f16", || vec![a.matmul(&b).unwrap()]);
    let same = Conv2dOptions { padding: [1, 1], ..Default::default() };
    let (x, w, dy) = (half(&[4, 16, 16, 16]), half(&[32, 16, 3, 3]), half(&[4, 32, 16, 16]));
    repeat(gpu, "conv2d of f16", || vec![x.conv2d(&w, None, same).unwrap()]);
    repeat(gpu, "conv2d of f16, input gradient", || {
        vec![dy.conv2d_input(&w, x.shape(), same, None).unwrap()]
    });
    repeat(gpu, "conv2d of f16, weight gradient", || {
        vec![dy.conv2d_weight(&x, w.shape(), same, None).unwrap()]
    });
}

/// Products of the sizes of a training step, which fill a GPU: the rows of the table are a few workgroups each.
#[test]
fn large_products_give_the_same_bits_each_time() {
    let gpu = Gpu::builder().family(Family::Gpu).quiet().build().unwrap();
    // As long as a software adapter may take.
    let (n, batch) = if is_software(&gpu) { (160, 2) } else { (1024, 64) };
    let mut sampler = Sampler::new(10);
    let mut random = |shape: &[usize]| {
        Tensor::from_slice(&gpu, &sampler.uniform(shape, -1.0, 1.0).to_f32(), shape).unwrap().tracked()
    };
    let (a, b) = (random(&[n, n]), random(&[n, n]));
    repeat(&gpu, "matmul", || vec![a.matmul(&b).unwrap()]);
    let same = Conv2dOptions { padding: [1, 1], ..Default::default() };
    let (x, w) = (random(&[batch, 64, 16, 16]), random(&[128, 64, 3, 3]));
    repeat(&gpu, "conv2d", || {
        let y = x.conv2d(&w, None, same).unwrap();
        let gradients = y.backward_from(&y.detach()).unwrap();
        vec![y.detach(), gradients.get(&x).unwrap().clone(), gradients.get(&w).unwrap().clone()]
    });
}
