//! What ops must refuse or survive at their door: sizes that overflow, values at the edge, tensors of two devices.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use wgrad_autograd::{Conv2dOptions, Error, Gpu, Pool2dOptions, Tensor};

fn gpu() -> Gpu {
    Gpu::builder().poison().quiet().build().unwrap()
}

fn refused(result: wgrad_autograd::Result<Tensor>, part: &str) {
    let error = result.err().unwrap();
    assert!(matches!(error, Error::Shape { .. }) && error.to_string().contains(part), "{error}");
}

#[test]
fn tensors_of_two_devices_are_refused() {
    let (one, other) = (gpu(), gpu());
    let a = Tensor::from_slice(&one, &[1.0, 2.0], &[2]).unwrap();
    let b = Tensor::from_slice(&other, &[3.0, 4.0], &[2]).unwrap();
    // Both devices' first tensors: their buffers have one number, and a cached bind group would fit either.
    assert_eq!(a.add(&a).unwrap().to_vec().unwrap(), [2.0, 4.0]);
    let error = a.add(&b).unwrap_err().to_string();
    assert!(error.contains("another Gpu"), "{error}");
    let labels = Tensor::from_slice(&other, &[0], &[1]).unwrap();
    let x = Tensor::from_slice(&one, &[0.0, 1.0], &[1, 2]).unwrap();
    assert!(x.cross_entropy(&labels, 0.0).unwrap_err().to_string().contains("another Gpu"));
    assert_eq!(a.add(&a).unwrap().to_vec().unwrap(), [2.0, 4.0]);
}

#[test]
fn sizes_that_overflow_are_refused() {
    let gpu = gpu();
    let x = Tensor::zeros(&gpu, &[1, 1, 4, 4]).unwrap();
    refused(x.reshape(&[usize::MAX, 2]), "reshape");
    // 3 · this is 1 modulo 2^64.
    refused(Tensor::zeros(&gpu, &[1]).unwrap().reshape(&[3, 12_297_829_382_473_034_411]), "reshape");
    let w = Tensor::zeros(&gpu, &[1, 1, 3, 3]).unwrap();
    let half = usize::MAX / 2 + 1;
    let default = Conv2dOptions::default();
    for options in [
        Conv2dOptions { padding: [half; 2], ..default },
        Conv2dOptions { stride: [half; 2], ..default },
        Conv2dOptions { dilation: [half; 2], ..default },
        Conv2dOptions { groups: half, ..default },
    ] {
        refused(x.conv2d(&w, None, options), "conv2d");
    }
    let options = Pool2dOptions { kernel: [usize::MAX; 2], stride: [1; 2], padding: [half - 1; 2] };
    refused(x.max_pool2d(options), "max_pool2d");
    refused(x.avg_pool2d(options), "avg_pool2d");
}

#[test]
fn a_wide_dilated_kernel_sees_the_right_pixels() {
    let gpu = gpu();
    let values: Vec<f32> = (0..4000).map(|i| (i % 97) as f32).collect();
    let x = Tensor::from_slice(&gpu, &values, &[1, 1, 1, 4000]).unwrap();
    let w = Tensor::from_slice(&gpu, &[1.0, 100.0], &[1, 1, 1, 2]).unwrap();
    let y = x.conv2d(&w, None, Conv2dOptions { dilation: [1, 2000], ..Default::default() }).unwrap();
    let want: Vec<f32> = (0..2000).map(|i| values[i] + 100.0 * values[i + 2000]).collect();
    assert_eq!(y.to_vec().unwrap(), want);
}

#[test]
fn infinite_logits_and_rows_keep_their_meaning() {
    let gpu = gpu();
    let x = Tensor::from_slice(&gpu, &[0.0, f32::NEG_INFINITY], &[1, 2]).unwrap();
    let labels = Tensor::from_slice(&gpu, &[0], &[1]).unwrap();
    assert_eq!(x.cross_entropy(&labels, 0.0).unwrap().item().unwrap(), 0.0);
    let low = Tensor::from_slice(&gpu, &[f32::NEG_INFINITY; 8], &[2, 4]).unwrap();
    assert_eq!(low.max(&[1]).unwrap().to_vec().unwrap(), [f32::NEG_INFINITY; 2]);
    for label in [2, 1 << 22, 1 << 30, -1] {
        let labels = Tensor::from_slice(&gpu, &[label], &[1]).unwrap();
        let logits = Tensor::from_slice(&gpu, &[0.0, 1.0], &[1, 2]).unwrap();
        assert!(logits.cross_entropy(&labels, 0.0).unwrap().item().unwrap().is_nan(), "label {label}");
    }
}

#[test]
fn slices_at_many_places_share_one_kernel() {
    let gpu = gpu();
    let x = Tensor::from_slice(&gpu, &(0..64).map(|i| i as f32).collect::<Vec<_>>(), &[64]).unwrap();
    let mut kernels = Vec::new();
    for i in 0..64 {
        assert_eq!(x.slice(0, i, i + 1).unwrap().contiguous().unwrap().to_vec().unwrap(), [i as f32]);
        kernels.push(gpu.composed().len());
    }
    // The first begins where a binding may, and is no copy.
    assert_eq!((kernels[0], kernels[1]), (0, kernels[63]));
}

#[test]
fn many_small_writes_before_a_submission_all_arrive() {
    let gpu = Gpu::builder().quiet().build().unwrap();
    let tensors: Vec<Tensor> =
        (0..9000).map(|i| Tensor::from_slice(&gpu, &[i as f32, -1.0], &[2]).unwrap()).collect();
    for i in [0, 1, 8190, 8191, 8192, 8193, 8999] {
        assert_eq!(tensors[i].to_vec().unwrap(), [i as f32, -1.0]);
    }
}

#[test]
fn a_read_is_taken_once() {
    let gpu = gpu();
    let x = Tensor::from_slice(&gpu, &[5.0], &[1]).unwrap();
    let mut pending = x.read_later().unwrap();
    gpu.synchronize().unwrap();
    assert_eq!(pending.try_take().unwrap(), Some(vec![5.0]));
    assert!(pending.try_take().unwrap_err().to_string().contains("taken before"));
}
