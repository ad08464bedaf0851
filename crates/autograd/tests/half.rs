//! Products of half-precision operands, against f64 references, with bounds that follow from the formats.
//!
//! An f16 has 11 significant bits, so rounding to nearest moves a value by at most 2⁻¹¹ of it. The product of two has 22
//! and is exact in f32; a sum of k of them in f32, in any order, is off by at most k · 2⁻²⁴ of the sum of their absolute
//! values, to first order. So with operands rounded on the host, for each element with S = Σ|a·b|:
//!   against the rounded operands' product  |error| ≤ k · 2⁻²⁴ · S
//!   against the exact operands' product    |error| ≤ (2 · 2⁻¹¹ + 2⁻²²) · S + k · 2⁻²⁴ · S'
//! S' is the sum of the rounded operands, at most (1 + 2⁻¹¹)² as large.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use half::f16;
use wgrad_autograd::device::Family;
use wgrad_autograd::{Conv2dOptions, DType, Epilogue, Error, Gpu, MatmulOptions, Result, Tensor};
use wgrad_testkit::reference::{self, Conv2dParams};
use wgrad_testkit::{Array, gradient::numeric_gradient, sample::Sampler};

/// One rounding of an f16 and of an f32.
const HALF: f64 = 1.0 / 2048.0;
const SINGLE: f64 = 1.0 / 16_777_216.0;

/// The output's type of products that are held against bounds of f32 sums.
const F32: Option<DType> = Some(DType::F32);

fn f32_out() -> Epilogue<'static> {
    Epilogue { out_dtype: F32, ..Epilogue::default() }
}

fn gpus() -> Vec<(&'static str, Gpu)> {
    let gpu = |family| Gpu::builder().family(family).poison().quiet().build().unwrap();
    let gpus = vec![("cpu", gpu(Family::Cpu)), ("gpu", gpu(Family::Gpu))];
    assert!(gpus.iter().all(|(_, gpu)| gpu.has_f16()), "an adapter without f16 cannot run these tests");
    gpus
}

/// Exact values, their f16, and the f16 as f64.
struct Input {
    exact: Array,
    halves: Vec<f16>,
    rounded: Array,
}

impl Input {
    fn new(sampler: &mut Sampler, shape: &[usize]) -> Self {
        let exact = sampler.uniform(shape, -1.0, 1.0);
        let halves: Vec<f16> = exact.data.iter().map(|&v| f16::from_f64(v)).collect();
        let rounded = Array::new(shape, halves.iter().map(|h| h.to_f64()).collect());
        Self { exact, halves, rounded }
    }

    fn upload(&self, gpu: &Gpu) -> Tensor {
        Tensor::from_slice(gpu, &self.halves, &self.exact.shape).unwrap()
    }
}

/// Checks a product of `k` terms an element, `product` in f64 being linear in either operand.
fn check(name: &str, got: &Tensor, k: usize, [a, b]: [&Input; 2], product: impl Fn(&Array, &Array) -> Array) {
    let of_rounded = product(&a.rounded, &b.rounded);
    let of_exact = product(&a.exact, &b.exact);
    let abs = |x: &Array| x.map(f64::abs);
    let sizes = product(&abs(&a.rounded), &abs(&b.rounded));
    let exact_sizes = product(&abs(&a.exact), &abs(&b.exact));
    let got = got.to_vec().unwrap();
    assert_eq!(got.len(), of_rounded.len(), "{name}");
    let sum = k as f64 * SINGLE;
    for (i, &got) in got.iter().enumerate() {
        let got = f64::from(got);
        let error = (got - of_rounded.data[i]).abs();
        assert!(
            error <= sum * sizes.data[i],
            "{name}: element {i} {got}, of f16 {}, error {error}",
            of_rounded.data[i]
        );
        let error = (got - of_exact.data[i]).abs();
        let bound = (2.0 * HALF + HALF * HALF) * exact_sizes.data[i] + sum * sizes.data[i];
        assert!(error <= bound, "{name}: element {i} {got}, exactly {}, error {error}", of_exact.data[i]);
    }
}

#[test]
fn products_of_halves_are_within_their_bounds() {
    let mut sampler = Sampler::new(3);
    for (family, gpu) in gpus() {
        // Odd sizes and whole quads, split sums, a batch, transposes.
        let cases: [(&[usize], &[usize], bool, bool); 7] = [
            (&[1, 1], &[1, 1], false, false),
            (&[7, 13], &[13, 5], false, false),
            (&[65, 36], &[36, 68], false, false),
            (&[5, 770], &[770, 9], false, false),
            (&[3, 5, 7], &[3, 7, 4], false, false),
            (&[17, 33], &[17, 68], true, false),
            (&[33, 20], &[68, 20], false, true),
        ];
        for (a_shape, b_shape, ta, tb) in cases {
            let (a, b) = (Input::new(&mut sampler, a_shape), Input::new(&mut sampler, b_shape));
            let k = a_shape[a_shape.len() - 1 - usize::from(ta)];
            let y = a
                .upload(&gpu)
                .matmul_with(
                    &b.upload(&gpu),
                    MatmulOptions { transpose: ta, transpose_other: tb, out_dtype: F32 },
                )
                .unwrap();
            let name = format!("matmul {a_shape:?} {b_shape:?} ({family})");
            check(&name, &y, k, [&a, &b], |a, b| reference::matmul(a, b, ta, tb));
        }
    }
}

#[test]
fn convolutions_of_halves_are_within_their_bounds() {
    let mut sampler = Sampler::new(4);
    for (family, gpu) in gpus() {
        let plain = Conv2dOptions::default();
        let same = Conv2dOptions { padding: [1, 1], ..plain };
        let strided = Conv2dOptions { stride: [2, 1], padding: [0, 1], groups: 2, ..plain };
        for (x_shape, w_shape, options) in [
            ([2, 3, 5, 7], [4, 3, 3, 3], same),
            ([2, 4, 8, 8], [8, 4, 3, 3], same),
            ([1, 2, 5, 4], [3, 2, 1, 1], plain),
            ([2, 4, 7, 5], [6, 2, 3, 2], strided),
        ] {
            let Conv2dOptions { stride, padding, dilation, groups } = options;
            let params = Conv2dParams { stride, padding, dilation, groups };
            let conv = |x: &Array, w: &Array| reference::conv2d(x, w, None, &params);
            let (x, w) = (Input::new(&mut sampler, &x_shape), Input::new(&mut sampler, &w_shape));
            let dy = Input::new(&mut sampler, &conv(&x.exact, &w.exact).shape);
            let [hx, hw, hdy] = [&x, &w, &dy].map(|input| input.upload(&gpu));
            let name = |what: &str| format!("{what} of {x_shape:?} {w_shape:?} ({family})");
            let taps = w_shape[2] * w_shape[3];

            let y = hx.conv2d_with(&hw, None, options, f32_out()).unwrap();
            check(&name("conv2d"), &y, w_shape[1] * taps, [&x, &w], conv);
            // The reference of a gradient is the numeric gradient of a linear function, exact but for f64's rounding.
            let dx = hdy.conv2d_input(&hw, &x_shape, options, F32).unwrap();
            let zero = Array::zeros(&x_shape);
            check(&name("input gradient"), &dx, w_shape[0] / groups * taps, [&w, &dy], |w, dy| {
                numeric_gradient(std::slice::from_ref(&zero), dy, |x: &[Array]| conv(&x[0], w)).remove(0)
            });
            let dw = hdy.conv2d_weight(&hx, &w_shape, options, F32).unwrap();
            let zero = Array::zeros(&w_shape);
            check(&name("weight gradient"), &dw, dy.exact.len() / w_shape[0], [&x, &dy], |x, dy| {
                numeric_gradient(std::slice::from_ref(&zero), dy, |w: &[Array]| conv(x, &w[0])).remove(0)
            });
        }
    }
}

#[test]
fn a_bias_is_added_in_f32() {
    for (family, gpu) in gpus() {
        let one = |shape: &[usize]| {
            Tensor::from_slice(&gpu, &vec![f16::ONE; shape.iter().product()], shape).unwrap()
        };
        let bias = Tensor::from_slice(&gpu, &[0.1, -0.3], &[2]).unwrap();
        let y = one(&[1, 3, 2, 2])
            .conv2d_with(&one(&[2, 3, 1, 1]), Some(&bias), Conv2dOptions::default(), f32_out())
            .unwrap();
        assert_eq!(y.to_vec().unwrap(), [[3.1f32; 4], [2.7; 4]].concat(), "{family}");
    }
}

#[test]
fn casts_keep_what_fits_and_round_to_a_neighbour() {
    for (family, gpu) in gpus() {
        let exact = [0.0f32, -0.0, 1.0, -2.5, 65504.0, 6.103_515_6e-5, 1.0 / 1024.0, -0.333_251_95, 2048.0];
        let x = Tensor::from_slice(&gpu, &exact, &[3, 3]).unwrap();
        let back = x.to_dtype(DType::F16).unwrap().to_dtype(DType::F32).unwrap();
        assert_eq!((back.shape(), back.to_vec().unwrap()), (&[3, 3][..], exact.to_vec()), "{family}");

        let mut sampler = Sampler::new(5);
        let values = sampler.uniform(&[1001], -8.0, 8.0).to_f32();
        let half = Tensor::from_slice(&gpu, &values, &[1001]).unwrap().to_dtype(DType::F16).unwrap();
        for (value, back) in values.iter().zip(half.to_dtype(DType::F32).unwrap().to_vec().unwrap()) {
            // Two neighbours are 2⁻¹⁰ of the value apart at most, and near zero the least f16 apart.
            let apart = (2.0 * HALF as f32 * value.abs()).max(5.97e-8);
            assert!((value - back).abs() < apart, "{value} became {back} ({family})");
            assert_eq!(f16::from_f32(back).to_f32(), back, "{back} is an f16 ({family})");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let gpu = Gpu::builder().quiet().build().unwrap();
    let half = |shape: &[usize]| Tensor::zeros(&gpu, shape).unwrap().to_dtype(DType::F16).unwrap();
    let message = |result: Result<Tensor>| match result {
        Err(Error::Shape { op, message }) => format!("{op}: {message}"),
        other => panic!("{other:?}"),
    };
    assert!(message(half(&[2, 3]).matmul(&half(&[4, 2]))).starts_with("matmul: [2, 3] × [4, 2]"));
    let options = Conv2dOptions::default();
    let refused =
        message(half(&[1, 2, 3, 3]).conv2d_input(&half(&[2, 1, 2, 2]), &[1, 1, 3, 3], options, None));
    assert!(refused.starts_with("conv2d_input: a gradient [1, 2, 3, 3]"), "{refused}");
    assert!(Tensor::from_slice(&gpu, &[f16::ONE; 3], &[2, 2]).is_err());
    let bias = Tensor::zeros(&gpu, &[3]).unwrap();
    assert!(half(&[1, 1, 3, 3]).conv2d(&half(&[2, 1, 2, 2]), Some(&bias), options).is_err());
}

#[test]
fn a_device_without_f16_says_so() {
    let gpu = Gpu::builder().baseline().quiet().build().unwrap();
    let x = Tensor::zeros(&gpu, &[2, 2]).unwrap();
    let error = x.to_dtype(DType::F16).unwrap_err();
    assert!(matches!(error, Error::Unsupported { op: "tensor", feature: "SHADER_F16", .. }), "{error}");
    assert!(matches!(Tensor::from_slice(&gpu, &[f16::ONE], &[1]), Err(Error::Unsupported { .. })));
}
