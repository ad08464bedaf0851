//! Kernels by named shapes: matmul and the three products of a convolution in FLOP/s (two for each multiply-add, counted
//! as for a direct convolution), the rest in bytes/s of what is read and written.
//!
//!     cargo bench -p wgrad-benches --bench kernels

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wgrad::autograd::Result;
use wgrad::{Conv2dOptions, Gpu};
use wgrad_benches::random;

/// Times `op` on what `prepare` gives, which is not timed, each to its end on the device.
fn bench<S, T>(
    c: &mut Criterion,
    gpu: &Gpu,
    name: &str,
    throughput: Throughput,
    prepare: impl Fn() -> Result<S>,
    op: impl Fn(S) -> Result<T>,
) {
    let wait = || gpu.synchronize().expect("the device finishes");
    let mut group = c.benchmark_group("kernels");
    group.sample_size(10).throughput(throughput);
    group.bench_function(name, |b| {
        b.iter_custom(|iterations| {
            let mut total = Duration::ZERO;
            for _ in 0..iterations {
                let prepared = prepare().expect("it can be prepared");
                wait();
                let start = Instant::now();
                let result = op(prepared).expect("the op runs");
                wait();
                total += start.elapsed();
                drop(black_box(result));
            }
            total
        });
    });
    group.finish();
}

fn matmul(c: &mut Criterion, gpu: &Gpu) {
    // The last is of no whole vec4, so that packs read single values.
    for n in [512, 1024, 509] {
        let (a, b) = (random(gpu, &[n, n]), random(gpu, &[n, n]));
        let flops = Throughput::Elements(2 * (n as u64).pow(3));
        bench(c, gpu, &format!("matmul {n}"), flops, || Ok(()), |()| a.matmul(&b));
    }
}

fn conv2d(c: &mut Criterion, gpu: &Gpu) {
    let x = random(gpu, &[64, 64, 16, 16]);
    let w = random(gpu, &[128, 64, 3, 3]);
    let dy = random(gpu, &[64, 128, 16, 16]);
    let options = Conv2dOptions { padding: [1, 1], ..Default::default() };
    let flops = || Throughput::Elements(2 * 64 * 64 * 128 * 9 * 256);
    let shape = "conv2d 64-128 3x3 16x16 batch 64";
    let forward = |()| x.conv2d(&w, None, options);
    bench(c, gpu, &format!("{shape}, forward"), flops(), || Ok(()), forward);
    for (name, x, w) in
        [("input gradient", x.tracked(), w.clone()), ("weight gradient", x.clone(), w.tracked())]
    {
        let forward = || x.conv2d(&w, None, options);
        bench(c, gpu, &format!("{shape}, {name}"), flops(), forward, |y| y.backward_from(&dy));
    }
}

fn elementwise(c: &mut Criterion, gpu: &Gpu) {
    let numel = 4 << 20;
    let x = random(gpu, &[numel]);
    // One read and one write.
    let bytes = |numel: usize| Throughput::Bytes(2 * 4 * numel as u64);
    bench(c, gpu, "relu of 4 Mi floats", bytes(numel), || Ok(()), |()| x.relu());
    let (x, bias) = (random(gpu, &[64, 64, 32, 32]), random(gpu, &[64, 1, 1]));
    bench(c, gpu, "add a channel's bias, 4 Mi floats", bytes(numel), || Ok(()), |()| x.add(&bias));
    let (x, bias) = (random(gpu, &[4095, 1023]), random(gpu, &[1023]));
    bench(c, gpu, "add a row, 4095x1023", bytes(4095 * 1023), || Ok(()), |()| x.add(&bias));
    let x = random(gpu, &[64, 256, 4, 64]);
    bench(c, gpu, "permute heads, 4 Mi floats", bytes(numel), || Ok(()), |()| x.permute(&[0, 2, 1, 3]));
    for [rows, cols] in [[4096, 1024], [65_536, 10]] {
        let x = random(gpu, &[rows, cols]);
        let name = format!("softmax {rows}x{cols}");
        bench(c, gpu, &name, bytes(rows * cols), || Ok(()), |()| x.softmax());
    }
}

fn kernels(c: &mut Criterion) {
    let gpu = Gpu::new().expect("an adapter");
    matmul(c, &gpu);
    conv2d(c, &gpu);
    elementwise(c, &gpu);
}

criterion_group!(benches, kernels);
criterion_main!(benches);
