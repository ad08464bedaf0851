//! What a launch costs the host: recording it, and its share of a submission.
//!
//!     cargo bench -p wgrad-benches --bench launch
//!
//! Every launch runs a single workgroup, so that the device has next to nothing to do.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wgrad::device::shaders::{self, File, Kernel};
use wgrad::device::{Buffer, Result};
use wgrad::{Gpu, Pool2dOptions, Tensor};
use wgrad_benches::random;

/// Launches in a recording; a training step has about fifty.
const LAUNCHES: usize = 100;

const NEG: Kernel<'static> = Kernel::new(&shaders::UNARY_FORWARD, "unary_forward")
    .with(&shaders::UNARY_NEG)
    .with(&shaders::LOAD_QUAD)
    .with(&shaders::STORE_QUAD);

/// An elementwise launch: two bindings, three parameters.
fn small(gpu: &Gpu, x: &Buffer, y: &Buffer) -> Result<()> {
    // SAFETY: both ranges have four vec4.
    let launch = unsafe { gpu.launch_unchecked(NEG) };
    let launch = launch.bind_all([("x", x.view(0, 64)), ("y", y.view(0, 64))]).set("n4", 4);
    launch
        .set_all_f32([("a", 0.0), ("b", 0.0), ("c", 0.0), ("d", 0.0)])
        .alias("X", "vec4<f32>")
        .alias("Y", "vec4<f32>")
        .alias("C", "f32")
        .threads(4)
        .enqueue()
}

/// As large as launches get: five bindings, sixteen parameters, three constants and a stated number of loop iterations.
static LARGE: File = File::new(
    "large",
    "
struct Params {
    batches: u32, splits: u32, row_strips: u32, col_strips: u32, k: u32, k_per_split: u32, m: u32, n: u32,
    a_batch: u32, b_batch: u32, c_batch: u32, c_row: u32, c_image: u32, c_split: u32, plane: u32, row_bias: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<u32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<u32>;
@group(0) @binding(4) var<storage, read> mask: array<u32>;
@group(0) @binding(5) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(1)
fn main() {
    out[0] = p.k * LANES + a[0] * ROWS + b[0] * COLS + bias[0] + mask[0];
}
",
);

fn large(gpu: &Gpu, x: &Buffer, y: &Buffer) -> Result<()> {
    // SAFETY: it touches the first value of each range.
    let launch = unsafe { gpu.launch_unchecked(Kernel::new(&LARGE, "main")) };
    launch
        .constants([("LANES", 8), ("ROWS", 32), ("COLS", 64)])
        .bind_all([("a", x.view(0, 64)), ("b", x.view(0, 64)), ("out", y.view(0, 64))])
        .bind_all([("bias", x.view(0, 16)), ("mask", x.view(0, 16))])
        .set_all([("row_bias", 1), ("batches", 64), ("row_strips", 4), ("col_strips", 4), ("k", 576)])
        .set_all([("a_batch", 0), ("b_batch", 4), ("c_batch", 32768), ("c_row", 256)])
        .set_all([("c_image", 0), ("plane", 256), ("splits", 1), ("k_per_split", 576)])
        .set_all([("m", 128), ("n", 256), ("c_split", 0)])
        .max_iterations(576)
        .groups(1)
        .enqueue()
}

/// A whole op, whose kernel has eleven constants: shape checks and two tensors included.
fn pooled(x: &Tensor) {
    x.max_pool2d(Pool2dOptions::square(2)).expect("the op runs");
}

fn launches(c: &mut Criterion) {
    let gpu = Gpu::new().expect("an adapter");
    let (x, y) = (gpu.buffer(256).expect("memory"), gpu.buffer(256).expect("memory"));
    let image = random(&gpu, &[1, 1, 3, 3]);
    let elementwise = || small(&gpu, &x, &y).expect("the launch is right");
    let reduction = || large(&gpu, &x, &y).expect("the launch is right");
    let pooling = || pooled(&image);
    let kinds: [(&str, &dyn Fn()); 3] = [
        ("2 bindings, 3 parameters", &elementwise),
        ("5 bindings, 16 parameters, 3 constants", &reduction),
        ("max_pool2d with its tensors", &pooling),
    ];
    let mut group = c.benchmark_group("launch");
    group.throughput(Throughput::Elements(LAUNCHES as u64));
    for (name, record) in kinds {
        // The recording is emptied between the timed parts, and the other way round.
        let timed = |recording: bool, iterations: u64| {
            let mut total = Duration::ZERO;
            for _ in 0..iterations {
                gpu.synchronize().expect("the device finishes");
                let start = Instant::now();
                (0..LAUNCHES).for_each(|_| record());
                let recorded = start.elapsed();
                gpu.submit().expect("the device takes it");
                total += if recording { recorded } else { start.elapsed() - recorded };
            }
            total
        };
        group.bench_function(format!("record 100 of {name}"), |b| b.iter_custom(|n| timed(true, n)));
        group.bench_function(format!("submit 100 of {name}"), |b| b.iter_custom(|n| timed(false, n)));
    }
    group.finish();
}

criterion_group!(benches, launches);
criterion_main!(benches);
