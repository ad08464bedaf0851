//! Training steps on one batch of synthetic images, in images a second.
//!
//!     cargo bench -p wgrad-benches --bench step

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wgrad::Gpu;
use wgrad_benches::{Training, cnn, resnet9};

fn bench(c: &mut Criterion, name: &str, batch: usize, mut training: Training) {
    let mut group = c.benchmark_group("step");
    group.sample_size(20).throughput(Throughput::Elements(batch as u64));
    group.bench_function(format!("{name}, batch {batch}"), |b| {
        b.iter(|| training.step().expect("the step runs"));
    });
    group.finish();
}

fn steps(c: &mut Criterion) {
    let gpu = Gpu::new().expect("an adapter");
    let training = Training::sgd(&gpu, 64, |b| cnn(b, 1)).expect("the model fits");
    bench(c, "CNN, SGD with momentum", 64, training);
    let training = Training::mlp(&gpu, 64).expect("the model fits");
    bench(c, "MLP 784-256-128-10, Adam", 64, training);
    let training = Training::sgd(&gpu, 128, |b| resnet9(b, 16)).expect("the model fits");
    bench(c, "resnet9 of width 16, SGD with momentum", 128, training);
}

criterion_group!(benches, steps);
criterion_main!(benches);
