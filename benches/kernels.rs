//! Kernels: matmul and the three products of a convolution, in direct FLOPs (two for each multiply-add).
//!
//!     cargo bench -p wgrad-benches --bench kernels

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wgrad::{Conv2dOptions, Gpu};
use wgrad_benches::random;

/// Runs `op` to the end once an iteration.
fn bench(c: &mut Criterion, gpu: &Gpu, name: &str, flops: u64, op: impl Fn() -> wgrad::autograd::Result<()>) {
    let mut group = c.benchmark_group("kernels");
    group.sample_size(10).throughput(Throughput::Elements(flops));
    group.bench_function(name, |b| {
        b.iter(|| {
            op().expect("the op runs");
            gpu.synchronize().expect("the device finishes");
        });
    });
    group.finish();
}

fn kernels(c: &mut Criterion) {
    let gpu = Gpu::new().expect("an adapter");
    for n in [512, 1024] {
        let (a, b) = (random(&gpu, &[n, n]), random(&gpu, &[n, n]));
        bench(c, &gpu, &format!("matmul {n}"), 2 * (n as u64).pow(3), || {
            a.matmul(&b).map(|y| drop(black_box(y)))
        });
    }
    let x = random(&gpu, &[64, 64, 16, 16]);
    let w = random(&gpu, &[128, 64, 3, 3]);
    let dy = random(&gpu, &[64, 128, 16, 16]);
    let options = Conv2dOptions { padding: [1, 1], ..Default::default() };
    let flops = 2 * 64 * 64 * 128 * 9 * 256;
    bench(c, &gpu, "conv2d 64-128 3x3 16x16 batch 64, forward", flops, || {
        x.conv2d(&w, None, options).map(|y| drop(black_box(y)))
    });
    for (name, x, w) in
        [("input gradient", x.tracked(), w.clone()), ("weight gradient", x.clone(), w.tracked())]
    {
        // One forward pass and one gradient an iteration: subtract the forward pass above.
        bench(c, &gpu, &format!("conv2d 64-128 3x3 16x16 batch 64, forward and {name}"), 2 * flops, || {
            x.conv2d(&w, None, options)?.backward_from(&dy).map(|g| drop(black_box(g)))
        });
    }
    let x = random(&gpu, &[4 << 20]);
    bench(c, &gpu, "relu of 4 Mi floats", 4 << 20, || x.relu().map(|y| drop(black_box(y))));
}

criterion_group!(benches, kernels);
criterion_main!(benches);
