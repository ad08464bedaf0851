//! Convolutions whose packed operands outgrow the workspace are computed in parts: the result must not show it. The `gpu` family,
//! which packs nothing, has no parts.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use wgrad_autograd::device::Family;
use wgrad_autograd::{Conv2dOptions, Epilogue, Gpu, Tensor, concat};
use wgrad_testkit::compare::assert_close;
use wgrad_testkit::{Array, sample::Sampler};

const IMAGES: usize = 70;
const FEW: usize = 14;

/// Winograd's transforms of a `cpu` device take 0.6 MB an image, and 2 or 8 MB a part.
#[test]
fn a_batch_of_3_by_3_convolutions_is_its_parts() {
    a_batch_in_parts_is_its_parts(32, 16, 3, Epilogue::default());
}

/// The same of rows that are no whole eights of pixels, and of images whose bytes are no multiple of a binding's alignment.
#[test]
fn a_batch_of_odd_3_by_3_convolutions_is_its_parts() {
    a_batch_in_parts_is_its_parts(27, 9, 3, Epilogue::relu());
}

/// The same, pooled on the way.
#[test]
fn a_batch_of_pooled_convolutions_is_its_parts() {
    a_batch_in_parts_is_its_parts(32, 16, 3, Epilogue { max_pool: true, ..Epilogue::relu() });
}

/// 8 · 25 · 32² gathered floats an image: 57 MB for all of them, and 8 MB a part. Sums of 200 terms are never split.
#[test]
fn a_batch_of_5_by_5_convolutions_is_its_parts() {
    a_batch_in_parts_is_its_parts(32, 8, 5, Epilogue::default());
}

/// Partial sums of the weight's gradient take 9.4 MB a part of 28 images, and 16 MB together: they are added up in groups.
#[test]
fn partial_sums_of_a_wide_weight_are_added_up_in_groups() {
    let gpu = Gpu::builder().family(Family::Cpu).poison().quiet().build().unwrap();
    let mut sampler = Sampler::new(6);
    let mut random = |shape: &[usize]| {
        let values = sampler.uniform(shape, -1.0, 1.0).to_f32();
        Tensor::from_slice(&gpu, &values, shape).unwrap()
    };
    let (x, dy) = (random(&[IMAGES, 256, 8, 8]), random(&[IMAGES, 256, 8, 8]));
    let w = random(&[256, 256, 3, 3]).tracked();
    let options = Conv2dOptions { padding: [1, 1], ..Default::default() };
    let gradient = |x: &Tensor, dy: &Tensor| {
        x.conv2d(&w, None, options).unwrap().backward_from(dy).unwrap().take(&w).unwrap()
    };
    let whole = gradient(&x, &dy).to_vec().unwrap();
    let few = |first| {
        let part = |t: &Tensor| t.slice(0, first, first + FEW).unwrap();
        gradient(&part(&x), &part(&dy))
    };
    let sum = (0..IMAGES).step_by(FEW).map(few).reduce(|a, b| a.add(&b).unwrap()).unwrap();
    let sum = Array::from_f32(sum.shape(), &sum.to_vec().unwrap());
    // 4,480 terms a weight, added up in another order.
    assert_close("dw", &whole, &sum, 1e-4, 5e-4);
}

/// Of square images with edges of `side` pixels.
fn a_batch_in_parts_is_its_parts(side: usize, channels: usize, kernel: usize, epilogue: Epilogue) {
    let gpu = Gpu::builder().family(Family::Cpu).poison().quiet().build().unwrap();
    let mut sampler = Sampler::new(5);
    let x = sampler.uniform(&[IMAGES, channels, side, side], -1.0, 1.0);
    let w = sampler.uniform(&[channels, channels, kernel, kernel], -1.0, 1.0);
    let size = if epilogue.max_pool { side / 2 } else { side };
    let dy = sampler.uniform(&[IMAGES, channels, size, size], -1.0, 1.0);
    let upload = |a: &Array| Tensor::from_slice(&gpu, &a.to_f32(), &a.shape).unwrap();
    let (x, w, dy) = (upload(&x), upload(&w).tracked(), upload(&dy));
    let options = Conv2dOptions { padding: [kernel / 2; 2], ..Default::default() };
    let run = |x: Tensor, dy: &Tensor| {
        let x = x.tracked();
        let y = x.conv2d_with(&w, None, options, epilogue).unwrap();
        let gradients = y.backward_from(dy).unwrap();
        (y.detach(), gradients.get(&x).unwrap().clone(), gradients.get(&w).unwrap().clone())
    };
    let (y, dx, dw) = run(x.clone(), &dy);
    let mut few = Vec::new();
    for first in (0..IMAGES).step_by(FEW) {
        let part = |t: &Tensor| t.slice(0, first, first + FEW).unwrap();
        few.push(run(part(&x), &part(&dy)));
    }
    let joined = |pick: fn(&(Tensor, Tensor, Tensor)) -> &Tensor| {
        let parts: Vec<&Tensor> = few.iter().map(pick).collect();
        let whole = concat(&parts, 0).unwrap();
        Array::from_f32(whole.shape(), &whole.to_vec().unwrap())
    };
    assert_close("y", &y.to_vec().unwrap(), &joined(|f| &f.0), 1e-6, 1e-6);
    assert_close("dx", &dx.to_vec().unwrap(), &joined(|f| &f.1), 1e-6, 1e-6);
    // 71,680 terms a weight, added up in another order.
    let sum = few.iter().map(|f| f.2.clone()).reduce(|a, b| a.add(&b).unwrap()).unwrap();
    let sum = Array::from_f32(sum.shape(), &sum.to_vec().unwrap());
    assert_close("dw", &dw.to_vec().unwrap(), &sum, 1e-4, 4e-3);
}
