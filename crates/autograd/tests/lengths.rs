//! A new size compiles nothing: texts of any length train without a pause.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use wgrad_autograd::device::Family;
use wgrad_autograd::{Gpu, MatmulOptions, Result, Tensor, concat};

fn gpus() -> [Gpu; 2] {
    [Family::Cpu, Family::Gpu].map(|family| Gpu::builder().family(family).poison().quiet().build().unwrap())
}

fn ramp(gpu: &Gpu, shape: &[usize]) -> Tensor {
    let values: Vec<f32> = (0..shape.iter().product::<usize>()).map(|i| (i % 13) as f32 - 6.0).collect();
    Tensor::from_slice(gpu, &values, shape).unwrap().tracked()
}

/// The modules composed for `first` sizes, and those composed for 200 others.
fn modules(gpu: &Gpu, first: &[usize], mut work: impl FnMut(usize) -> Result<()>) -> [usize; 2] {
    first.iter().try_for_each(|&n| work(n)).unwrap();
    let before = gpu.composed().len();
    (30..230).try_for_each(&mut work).unwrap();
    [before, gpu.composed().len()]
}

/// Sequences of n vectors of 12 features through what is no product, forward and backward.
#[test]
fn sequences_of_any_length_compile_nothing() {
    for gpu in gpus() {
        let (bias, scale) = (ramp(&gpu, &[12]), ramp(&gpu, &[12]));
        let [before, after] = modules(&gpu, &[28, 29], |n| {
            let x = ramp(&gpu, &[2, n, 12]);
            let y = x.add(&bias)?.mul(&scale)?.gelu()?.dropout(0.1, 1, n as u32)?;
            let heads = y.reshape(&[2, n, 3, 4])?.permute(&[0, 2, 1, 3])?;
            let weights = heads.softmax()?.log_softmax()?;
            let part = weights.slice(2, 1, n)?.mean(&[3])?;
            let most = weights.max(&[2])?.sum_all()?;
            let column = part.sum(&[1])?.broadcast_to(&[3, 2, n - 1])?;
            let loss = concat(&[&column, &column], 2)?.square()?.mean_all()?.add(&most)?;
            let rows = y.reshape(&[2 * n, 12])?;
            rows.argmax(1)?;
            let labels = Tensor::from_slice(&gpu, &vec![3; 2 * n], &[2 * n])?;
            let gradients = loss.add(&rows.cross_entropy(&labels, 0.1)?)?.backward()?;
            assert!(gradients.get(&bias).is_some());
            gpu.submit()?;
            Ok(())
        });
        assert_eq!(after, before, "modules for 200 lengths ({:?})", gpu.family());
    }
}

/// Values too: what follows from sizes is set in every launch.
#[test]
fn lengths_after_the_first_are_computed_right() -> Result<()> {
    for gpu in gpus() {
        for n in [31, 7, 64, 1000] {
            let x: Vec<f32> = (0..3 * n * 5).map(|i| (i % 101) as f32).collect();
            let b: Vec<f32> = (0..n).map(|i| 1000.0 * i as f32).collect();
            let sum =
                Tensor::from_slice(&gpu, &x, &[3, n, 5])?.add(&Tensor::from_slice(&gpu, &b, &[n, 1])?)?;
            let want: Vec<f32> = x.iter().enumerate().map(|(i, x)| x + b[i / 5 % n]).collect();
            assert_eq!(sum.to_vec()?, want, "x + b of length {n}");
            let turned = sum.permute(&[2, 0, 1])?.slice(2, 1, n)?;
            let want: Vec<f32> = (0..15 * (n - 1))
                .map(|i| (i / (3 * (n - 1)), i / (n - 1) % 3, i % (n - 1) + 1))
                .map(|(feature, image, row)| want[(image * n + row) * 5 + feature])
                .collect();
            assert_eq!(turned.to_vec()?, want, "permuted and sliced, length {n}");
        }
    }
    Ok(())
}

/// Products of 200 sizes, with both operands as they are and transposed, forward and backward: as many variants as there
/// are classes of alignment and size.
#[test]
fn products_of_any_size_compile_a_handful() {
    for gpu in gpus() {
        let shared = ramp(&gpu, &[48, 36]);
        let bias = ramp(&gpu, &[48]);
        let work = |n: usize| -> Result<()> {
            let x = ramp(&gpu, &[2, n, 36]);
            let y = x.linear(&shared, Some(&bias))?;
            let scores = y.matmul_with(&y, MatmulOptions { transpose_other: true, ..Default::default() })?;
            scores.matmul(&y)?.sum_all()?.backward()?;
            let odd = ramp(&gpu, &[n, n % 7 + 1]);
            odd.matmul_with(&odd, MatmulOptions { transpose: true, ..Default::default() })?;
            gpu.submit()?;
            Ok(())
        };
        // Each alignment by four, eight and sixteen once, as sums that are split and as those that aren't.
        let first = [16, 17, 18, 20, 21, 24, 25, 26, 27, 28, 32, 129, 130, 132, 136, 144];
        let [before, after] = modules(&gpu, &first, work);
        assert_eq!(after, before, "modules for 200 sizes ({:?})", gpu.family());
        let products =
            |name: &str| gpu.composed().iter().filter(|composed| composed.kernel.starts_with(name)).count();
        let (tiles, packs) = (products("gemm"), products("pack"));
        assert!(tiles <= 24 && packs <= 10, "{tiles} products and {packs} packs ({:?})", gpu.family());
    }
}

/// A batch of another number of images, as the last of an epoch is.
#[test]
fn batches_of_any_size_compile_nothing() {
    for gpu in gpus() {
        for (c, size) in [(3, [9, 7]), (8, [8, 8])] {
            let w = ramp(&gpu, &[8, c, 3, 3]);
            let options = wgrad_autograd::Conv2dOptions { padding: [1, 1], ..Default::default() };
            let work = |n: usize| -> Result<()> {
                let x = ramp(&gpu, &[n, c, size[0], size[1]]);
                let y = x.conv2d(&w, None, options)?.relu()?;
                let y = y.max_pool2d(wgrad_autograd::Pool2dOptions::square(2))?;
                y.sum_all()?.backward()?;
                gpu.submit()?;
                Ok(())
            };
            let first: Vec<usize> = (1..=18).chain([32, 48, 64]).collect();
            first.iter().try_for_each(|&n| work(n)).unwrap();
            let before = gpu.composed().len();
            (19..40).try_for_each(work).unwrap();
            assert_eq!(gpu.composed().len(), before, "{c} channels of {size:?} ({:?})", gpu.family());
        }
    }
}
