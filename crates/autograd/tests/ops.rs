//! Every op, forward and gradients, against its f64 reference, in both families of kernels.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "ops/limits.rs"]
mod limits;
#[path = "ops/values.rs"]
mod values;
#[path = "ops/winograd.rs"]
mod winograd;

use std::sync::Mutex;

use wgrad_autograd::device::{Composed, Family, shaders, wgpu};
use wgrad_autograd::{Conv2dOptions, DType, Epilogue, Gpu, Pool2dOptions, Tensor, grad};
use wgrad_testkit::{Array, compare::assert_close, reference, sample::Sampler};

use crate::table;

/// The folders of the kernels that ops launch.
const FOLDERS: &[&str] = &["lib", "elementwise", "rows", "reduce", "move", "index", "images", "products"];

/// Files that this adapter cannot run: shuffles want subgroups of a fixed 4, 8 or 16 lanes.
fn is_beyond_adapter(file: &str, gpu: &Gpu) -> bool {
    let lanes = matches!(gpu.subgroup(), Some(4 | 8 | 16));
    match file {
        "lib/wide_u64" => !gpu.device().features().contains(wgpu::Features::SHADER_INT64),
        // The device without 64-bit integers is a borrowed one, whose family is its adapter's.
        "lib/wide_f32" => gpu.info().device_type != wgpu::DeviceType::Cpu,
        "products/software/load_subgroup" => !lanes,
        "images/batch_norm/lanes_subgroup" | "rows/lanes/subgroup" => gpu.subgroup().is_none(),
        _ => false,
    }
}

#[test]
fn every_op_agrees_with_its_reference() {
    let _alone = table::alone();
    let gpus = table::chosen_gpus();
    // The driver's compiler, in which most of the time goes, has one thread a device: the `gpu` family's kernels, which
    // are the largest, beside all others, and each device by itself where there are processors for that.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let shares: Vec<&[(&str, Gpu)]> = match processors {
        8.. => gpus.chunks(1).collect(),
        _ if gpus.len() == 1 => vec![&gpus],
        _ => vec![&gpus[..1], &gpus[1..]],
    };
    let failures: Vec<String> = std::thread::scope(|scope| {
        let check = |gpus| {
            let failures = table::rows().iter().flat_map(|row| row.failures(gpus)).collect::<Vec<_>>();
            dropout_and_choices(gpus);
            failures
        };
        let threads: Vec<_> = shares.into_iter().map(|gpus| scope.spawn(move || check(gpus))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(failures.is_empty(), "{} cases fail:\n{}", failures.len(), failures.join("\n"));
    if table::chosen().is_some() {
        return;
    }
    let composed: Vec<Composed> = gpus.iter().flat_map(|(_, gpu)| gpu.composed()).collect();
    let launched = composed.iter().map(|composed| (&composed.files[..], composed.entry.as_str()));
    let forgotten = shaders::unlaunched(FOLDERS, launched);
    let forgotten: Vec<_> = forgotten.iter().filter(|file| !is_beyond_adapter(file, &gpus[0].1)).collect();
    let all = std::env::var_os("WGRAD_DEVICES").is_none();
    assert!(!all || forgotten.is_empty(), "no row of the table launches {forgotten:?}");
    let checks = std::env::var("WGRAD_CHECKED").is_ok_and(|v| v == "1") || cfg!(debug_assertions);
    let checked = composed.iter().filter(|composed| composed.checked).map(|composed| &composed.kernel);
    assert!(
        checks || checked.count() == 0,
        "ops launch their kernels without checks, which cost up to twentyfold"
    );
}

/// The same for inputs that are views, and in half precision.
#[test]
fn every_op_takes_views_and_halves() {
    let _alone = table::alone();
    let mut gpus = table::chosen_gpus();
    gpus.truncate(2);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for views in [true, false] {
            let (wrong, gpus) = (&wrong, &gpus);
            scope.spawn(move || {
                for (i, row) in table::rows().iter().enumerate() {
                    // Neighbouring rows, which are much alike, take turns on the families.
                    let (family, gpu) = &gpus[(i + usize::from(views)) % gpus.len()];
                    let broken =
                        if views { row.check_views(family, gpu) } else { row.check_halves(family, gpu) };
                    broken.iter().for_each(|message| println!("{}{message}", table::FAILED_ROW));
                    wrong.lock().unwrap().extend(broken);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} cases fail:\n{}", wrong.len(), wrong.join("\n"));
}

/// Special values in every input of every op, in both families.
#[test]
fn every_op_keeps_its_promises_for_special_values() {
    let _alone = table::alone();
    let gpus = table::chosen_gpus();
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for gpus in gpus.chunks(1).take(2) {
            let wrong = &wrong;
            scope.spawn(move || {
                for row in table::rows() {
                    let broken = row.check_specials(gpus);
                    broken.iter().for_each(|message| println!("{}{message}", table::FAILED_ROW));
                    wrong.lock().unwrap().extend(broken);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "promises are broken:\n{}", wrong.join("\n"));
}

/// A row that fails says so with its error and tolerance, and the cases behind it still run.
#[test]
fn every_failing_case_is_listed() {
    let gpus = [("default", Gpu::builder().quiet().build().unwrap())];
    let wrong = |x: &[Array]| x[0].map(|v| if v == x[0].data[0] { v + 0.5 } else { v });
    let op = |x: &[Tensor]| x[0].mul_add_scalar(1.0, 0.0);
    let failures = table::row("wrong", &[&[&[3]], &[&[2, 2]]], table::UNIT, op, wrong).failures(&gpus);
    assert_eq!(failures.len(), 2, "{failures:?}");
    for (failure, shape) in failures.iter().zip(["[[3]]", "[[2, 2]]"]) {
        for part in ["wrong", shape, "default", "error 5", "rtol 1e-4", "atol 1e-5"] {
            assert!(failure.contains(part), "no {part:?} in {failure}");
        }
    }
}

/// Ops whose result is no plain function of floats to floats.
fn dropout_and_choices(gpus: &[(&str, Gpu)]) {
    for (family, gpu) in gpus {
        argmax(family, gpu);
        equal(family, gpu);
        dropout(family, gpu);
        ties(family, gpu);
        halves(family, gpu);
        bytes(family, gpu);
        curvature_of_gelu(family, gpu);
        diverged(family, gpu);
    }
}

/// Bytes come back as they were, of a view too.
fn bytes(family: &str, gpu: &Gpu) {
    let x = Tensor::from_slice(gpu, &[7u8, 255, 0, 1, 128, 3], &[2, 3]).unwrap();
    let turned = x.permute(&[1, 0]).unwrap().to_dtype(DType::F32).unwrap();
    assert_eq!(turned.to_vec().unwrap(), [7.0, 1.0, 255.0, 128.0, 0.0, 3.0], "({family})");
    let back = turned.to_dtype(DType::U8).unwrap().permute(&[1, 0]).unwrap();
    assert_eq!(back.to_vec_as::<u8>().unwrap(), [7, 255, 0, 1, 128, 3], "({family})");
    assert_eq!(x.to_dtype(DType::F32).unwrap().to_vec().unwrap()[..3], [7.0, 255.0, 0.0], "({family})");
}

/// φ(x)·(2 - x²).
fn curvature_of_gelu(family: &str, gpu: &Gpu) {
    let values = Sampler::new(24).uniform(&[7], -4.0, 4.0);
    let x = Tensor::from_slice(gpu, &values.to_f32(), &[7]).unwrap().tracked();
    let [dx] = grad(&x.gelu().unwrap().sum_all().unwrap(), [&x]).unwrap();
    let second = dx.sum_all().unwrap().backward().unwrap().take(&x).unwrap().to_vec().unwrap();
    let want = values.map(|x| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt() * (2.0 - x * x));
    assert_close(&format!("GELU's second derivative ({family})"), &second, &want, 1e-4, 1e-5);
}

/// Values that f16 holds come back as they were.
fn halves(family: &str, gpu: &Gpu) {
    if gpu.has_f16() {
        let values = [-2.5, 0.125, 1000.0];
        let x = Tensor::from_slice(gpu, &values, &[3]).unwrap();
        let back = x.to_dtype(DType::F16).unwrap().to_dtype(DType::F32).unwrap();
        assert_eq!(back.to_vec().unwrap(), values, "({family})");
    }
}

/// A NaN must reach the loss: ReLU and pooling would be the places to lose it.
fn diverged(family: &str, gpu: &Gpu) {
    let mut x = vec![-1.0; 2 * 8 * 8];
    // Each of a window's four corners once.
    for (window, at) in [0, 3, 28, 31].into_iter().enumerate() {
        x[window / 2 * 64 + at] = f32::NAN;
    }
    let x = Tensor::from_slice(gpu, &x, &[1, 2, 8, 8]).unwrap();
    let count = |t: Tensor| t.to_vec().unwrap().iter().filter(|v| v.is_nan()).count();
    assert_eq!(count(x.relu().unwrap()), 4, "relu ({family})");
    for padding in [0, 1] {
        let options = Pool2dOptions { padding: [padding; 2], ..Pool2dOptions::square(2) };
        assert_eq!(count(x.max_pool2d(options).unwrap()), 4, "max pooling, padding {padding} ({family})");
    }
    // What follows a product: by strips and by Winograd's transforms, which spread a NaN over its tiles, and as one or
    // more sums.
    let options = Conv2dOptions { padding: [1, 1], ..Default::default() };
    for channels in [2, 8] {
        let x = Tensor::full(gpu, &[1, channels, 8, 8], f32::NAN).unwrap();
        let w = Tensor::full(gpu, &[8, channels, 3, 3], -0.5).unwrap();
        for (max_pool, values) in [(false, 8 * 64), (true, 8 * 16)] {
            let y = x.conv2d_with(&w, None, options, Epilogue { max_pool, ..Epilogue::relu() }).unwrap();
            assert_eq!(count(y), values, "{channels} channels, pooling {max_pool} ({family})");
        }
    }
    for k in [8, 1024] {
        let [x, w] = [f32::NAN, -0.5].map(|value| Tensor::full(gpu, &[8, k], value).unwrap());
        assert_eq!(
            count(x.linear_with(&w, None, Epilogue::relu()).unwrap()),
            64,
            "linear and relu of {k} terms ({family})"
        );
    }
}

fn argmax(family: &str, gpu: &Gpu) {
    let mut sampler = Sampler::new(21);
    for (shape, axis) in [
        (&[1][..], 0),
        (&[257], 0),
        (&[5, 7], 0),
        (&[5, 8], 1),
        (&[4, 3, 5], 1),
        (&[65, 10], 1),
        (&[2, 1203], 1),
    ] {
        // Drawn from three values, so that ties occur: the first wins.
        let x = sampler.uniform(shape, -1.4, 1.4).map(f64::round);
        for x in [x, sampler.distinct(shape).map(|v| (v * 1e4).round())] {
            let floats = Tensor::from_slice(gpu, &x.to_f32(), shape).unwrap();
            let values: Vec<i32> = x.data.iter().map(|&v| v as i32).collect();
            let integers = Tensor::from_slice(gpu, &values, shape).unwrap();
            let (along, axes) = (axis as isize, [axis as isize]);
            let check = |what: &str, y: Tensor, want: Array| {
                assert_eq!(y.shape(), want.shape);
                let got: Vec<f64> = y.to_vec_as::<i32>().unwrap().into_iter().map(f64::from).collect();
                assert_eq!(got, want.data, "{what} of {shape:?} along {axis} ({family})");
            };
            for x_of in [&floats, &integers] {
                check("argmax", x_of.argmax(along).unwrap(), reference::argmax(&x, axis, false));
                check("argmin", x_of.argmin(along).unwrap(), reference::argmin(&x, axis, false));
            }
            check("max", integers.max(&axes).unwrap(), reference::max(&x, &[axis], false));
            check("min", integers.min(&axes).unwrap(), reference::min(&x, &[axis], false));
            check("sum", integers.sum(&axes).unwrap(), reference::sum(&x, &[axis], false));
            let small = x.map(|v| 2.0f64.powf((v.abs() % 3.0) - 1.0).floor().max(1.0));
            let powers: Vec<i32> = small.data.iter().map(|&v| v as i32).collect();
            let product = Tensor::from_slice(gpu, &powers, shape).unwrap().prod(&axes).unwrap();
            // Powers of two wrap around to 0.
            let wrapped = |v: f64| if v >= 2f64.powi(32) { 0.0 } else { f64::from(v as u32 as i32) };
            check("prod", product, reference::prod(&small, &[axis], false).map(wrapped));
        }
    }
}

fn equal(family: &str, gpu: &Gpu) {
    let mut sampler = Sampler::new(22);
    for (a, b) in [(&[1][..], &[1][..]), (&[7, 5], &[7, 5]), (&[7, 5], &[5]), (&[3, 1], &[2, 1, 7])] {
        let [a, b] = [a, b].map(|shape| sampler.uniform(shape, -1.4, 1.4).map(f64::round));
        let [x, y] = [&a, &b].map(|a| Tensor::from_slice(gpu, &a.to_f32(), &a.shape).unwrap().tracked());
        let got = x.equal(&y).unwrap();
        let difference = reference::sub(&a, &b);
        assert!(!got.is_tracked());
        assert_eq!(got.shape(), difference.shape);
        let want = difference.map(|v| f64::from(v == 0.0));
        assert_close(&format!("equal ({family})"), &got.to_vec().unwrap(), &want, 0.0, 0.0);
        let (got, want) = (x.less(&y).unwrap(), difference.map(|v| f64::from(v < 0.0)));
        assert!(!got.is_tracked());
        assert_close(&format!("less ({family})"), &got.to_vec().unwrap(), &want, 0.0, 0.0);
    }
}

fn dropout(family: &str, gpu: &Gpu) {
    let n = 100_003;
    let x = Sampler::new(23).uniform(&[n], 1.0, 2.0);
    let input = Tensor::from_slice(gpu, &x.to_f32(), &[n]).unwrap().tracked();
    let rate = 0.3;
    let drop = |key, counter| input.dropout(rate, key, counter).unwrap();
    let y = drop(1, 2);
    let values = y.to_vec().unwrap();
    let kept = values.iter().filter(|v| **v != 0.0).count();
    // Six standard deviations of a binomial count.
    let (mean, sigma) = (0.7 * n as f64, (n as f64 * 0.3 * 0.7).sqrt());
    assert!((kept as f64 - mean).abs() < 6.0 * sigma, "{kept} of {n} kept ({family})");
    let scaled = |x: f64, y: f32| if y == 0.0 { 0.0 } else { x / 0.7 };
    let want = x.data.iter().zip(&values).map(|(x, y)| scaled(*x, *y)).collect();
    assert_close(&format!("dropout ({family})"), &values, &Array::new(&[n], want), 1e-6, 0.0);

    let again = drop(1, 2).to_vec().unwrap();
    assert_eq!(values, again, "one key and counter give one mask");
    for other in [drop(1, 3), drop(2, 2)] {
        let other = other.to_vec().unwrap();
        let both = values.iter().zip(&other).filter(|(a, b)| **a != 0.0 && **b != 0.0).count() as f64;
        // Independent masks keep 0.49 of the elements both times.
        let (mean, sigma) = (0.49 * n as f64, (n as f64 * 0.49 * 0.51).sqrt());
        assert!((both - mean).abs() < 6.0 * sigma, "{both} of {n} kept by two masks ({family})");
    }

    let dy = Tensor::full(gpu, &[n], 7.0).unwrap();
    let gradient = y.backward_from(&dy).unwrap().take(&input).unwrap().to_vec().unwrap();
    let want = values.iter().map(|y| if *y == 0.0 { 0.0 } else { 10.0 }).collect();
    assert_close(&format!("dropout, gradient ({family})"), &gradient, &Array::new(&[n], want), 1e-6, 0.0);

    assert_eq!(input.dropout(0.0, 1, 2).unwrap().to_vec().unwrap(), x.to_f32(), "a rate of 0 keeps all");
}

/// Where maxima are equal a central difference means nothing: the first pixel of a window takes the gradient, and
/// the elements of an axis share it, as in PyTorch.
fn ties(family: &str, gpu: &Gpu) {
    let square = Pool2dOptions::square(2);
    let overlapping = Pool2dOptions { stride: [1, 1], ..square };
    // Each shape with its number of windows: the first is computed by vec4.
    for (shape, options, windows) in
        [([1, 1, 2, 8], square, 4), ([1, 1, 2, 6], square, 3), ([1, 1, 2, 4], overlapping, 3)]
    {
        let x = Tensor::full(gpu, &shape, -1.5).unwrap().tracked();
        let y = x.max_pool2d(options).unwrap();
        let dy: Vec<f32> = (1..=windows).map(|i| i as f32).collect();
        let gradients = y.backward_from(&Tensor::from_slice(gpu, &dy, y.shape()).unwrap()).unwrap();
        let mut want = vec![0.0; x.numel()];
        for (window, dy) in dy.iter().enumerate() {
            want[window * options.stride[1]] = *dy;
        }
        assert_eq!(gradients.get(&x).unwrap().to_vec().unwrap(), want, "{shape:?} ({family})");
    }
    let x = Tensor::from_slice(gpu, &[1.0, 3.0, 3.0, 2.0, 2.0, 2.0], &[2, 3]).unwrap().tracked();
    let dy = Tensor::from_slice(gpu, &[1.0, 6.0], &[2]).unwrap();
    let gradients = x.max(&[1]).unwrap().backward_from(&dy).unwrap();
    assert_eq!(
        gradients.get(&x).unwrap().to_vec().unwrap(),
        [0.0, 0.5, 0.5, 2.0, 2.0, 2.0],
        "max ({family})"
    );
}

/// Sums over more elements than fit a grid of one row of workgroups.
#[test]
fn grids_fold() {
    for family in [Family::Cpu, Family::Gpu] {
        let gpu = Gpu::builder().quiet().family(family).build().unwrap();
        let n = 65_535 * 64 + 3;
        let x: Vec<f32> = (0..n).map(|i| (i % 7) as f32).collect();
        let y = Tensor::from_slice(&gpu, &x, &[n, 1]).unwrap();
        let y =
            y.add(&Tensor::from_slice(&gpu, &[0.5, 1.5, 2.5, 3.5], &[4]).unwrap().slice(0, 1, 2).unwrap());
        let got = y.unwrap().to_vec().unwrap();
        assert!(got.iter().zip(&x).all(|(y, x)| *y == x + 1.5), "{family:?}");
    }
}
