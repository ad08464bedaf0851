//! Layers of models of text.

use wgrad_nn::autograd::{Tensor, concat};
use wgrad_nn::{BuildOptions, ConvTranspose2d, Embedding, LayerNorm, build, build_with};
use wgrad_testkit::Array;
use wgrad_testkit::compare::assert_close;

use crate::common::{FAMILIES, gpu_of};

/// Numbers of PyTorch 2.15 in f64.
#[test]
fn layer_norm_computes_what_pytorch_computes() {
    let x = [0.5, -1.0, 2.0, 0.25, 3.0, 3.5, -2.0, 1.0, 1e-3, 2e-3, -1e-3, 0.0];
    let dy = [1.0, -0.5, 0.25, 2.0, 0.5, 1.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0];
    let want_y = [
        0.1586208, -0.474139, -2.631039, 0.1362065, 0.8518086, 0.6915672, 3.4228973, 0.1397586, 0.2490712,
        0.4236068, 1.1944272, 0.1763932,
    ];
    let want_dx = [
        0.1877475,
        -1.2699131,
        -0.9339062,
        2.0160717,
        0.0804607,
        0.1408064,
        0.1709808,
        -0.3922479,
        122.5696521,
        69.5665593,
        -1858.4209413,
        1666.2847299,
    ];
    let want_dw = [0.5835963, 2.5517005, 0.5861877, -0.9480095];
    for family in FAMILIES {
        let gpu = gpu_of(family);
        let (layer, params) = build(&gpu, 0, |b| LayerNorm::new(&b.scope("norm"), 4)).unwrap();
        gpu.write(&params.get("norm.weight").unwrap().bind(), &[1.0f32, 0.5, -2.0, 1.5]).unwrap();
        gpu.write(&params.get("norm.bias").unwrap().bind(), &[0.1f32, 0.2, 0.3, 0.4]).unwrap();
        let x = Tensor::from_slice(&gpu, &x, &[3, 4]).unwrap().tracked();
        let y = layer.forward(&x).unwrap();
        let close = |name: &str, got: &Tensor, want: &[f64]| {
            let want = Array::new(got.shape(), want.to_vec());
            assert_close(&format!("{name} ({family:?})"), &got.to_vec().unwrap(), &want, 1e-5, 1e-6);
        };
        close("y", &y, &want_y);
        let gradients = y.backward_from(&Tensor::from_slice(&gpu, &dy, &[3, 4]).unwrap()).unwrap();
        close("dx", gradients.get(&x).unwrap(), &want_dx);
        close("dweight", gradients.get(params.get("norm.weight").unwrap()).unwrap(), &want_dw);
        close("dbias", gradients.get(params.get("norm.bias").unwrap()).unwrap(), &[2.5, 2.5, 2.25, 6.0]);
        let error = layer.forward(&Tensor::zeros(&gpu, &[2, 5]).unwrap()).unwrap_err().to_string();
        assert!(error.contains("norm") && error.contains("[2, 5]"), "{error}");
    }
}

#[test]
fn an_embedding_starts_normal_and_looks_rows_up() {
    let gpu = gpu_of(FAMILIES[0]);
    let (layer, params) = build(&gpu, 7, |b| Embedding::new(b, 1000, 8)).unwrap();
    let values = layer.weight().unwrap().to_vec().unwrap();
    let mean = values.iter().sum::<f32>() / 8000.0;
    let std = (values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 8000.0).sqrt();
    // Four standard errors of 8000 draws.
    assert!(
        mean.abs() < 4.0 / 8000f32.sqrt() && (std - 1.0).abs() < 4.0 / 16_000f32.sqrt(),
        "{mean} ± {std}"
    );
    assert!(values.iter().any(|v| v.abs() > 2.5) && values.iter().all(|v| v.abs() < 6.0));
    let at = Tensor::from_slice(&gpu, &[3, 999, 3, 1000], &[2, 2]).unwrap();
    let y = layer.forward(&at).unwrap();
    let rows = y.to_vec().unwrap();
    assert_eq!((y.shape(), &rows[..8], &rows[8..16]), (&[2, 2, 8][..], &values[24..32], &values[7992..]));
    assert!(rows[24..].iter().all(|v| v.is_nan()));
    let dw = params.gradients(&y.slice(0, 0, 1).unwrap().sum_all().unwrap()).unwrap();
    let dw = dw.get("weight").unwrap().to_vec().unwrap();
    let touched: Vec<usize> = (0..1000).filter(|row| dw[row * 8] != 0.0).collect();
    assert_eq!((touched, dw[24]), (vec![3, 999], 1.0));
    let error = layer.forward(&Tensor::zeros(&gpu, &[2]).unwrap()).unwrap_err().to_string();
    assert!(error.contains("Embedding") && error.contains("i32"), "{error}");
}

#[test]
fn a_transposed_convolution_grows_an_image() {
    let gpu = gpu_of(FAMILIES[0]);
    let options = wgrad_nn::autograd::ConvTranspose2dOptions {
        conv: wgrad_nn::autograd::Conv2dOptions { stride: [2, 2], ..Default::default() },
        ..Default::default()
    };
    let (layer, params) = build(&gpu, 0, |b| ConvTranspose2d::new(b, 1, 1, [2, 2], options)).unwrap();
    gpu.write(&params.get("weight").unwrap().bind(), &[1.0f32, 2.0, 3.0, 4.0]).unwrap();
    gpu.write(&params.get("bias").unwrap().bind(), &[0.5f32]).unwrap();
    // Windows don't overlap: each pixel becomes its multiple of the kernel.
    let y = layer.forward(&Tensor::from_slice(&gpu, &[1.0, 10.0], &[1, 1, 1, 2]).unwrap()).unwrap();
    assert_eq!(
        (y.shape(), y.to_vec().unwrap()),
        (&[1, 1, 2, 4][..], vec![1.5, 2.5, 10.5, 20.5, 3.5, 4.5, 30.5, 40.5])
    );
    let gradients = params.gradients(&y.sum_all().unwrap()).unwrap();
    assert_eq!(gradients.get("weight").unwrap().to_vec().unwrap(), [11.0; 4]);
    assert_eq!(gradients.get("bias").unwrap().to_vec().unwrap(), [8.0]);
}

/// A layer without outputs is a layer.
#[test]
fn a_parameter_without_elements_has_a_place() {
    let gpu = gpu_of(FAMILIES[0]);
    let layers =
        |b: &wgrad_nn::Builder| [8, 0, 3].map(|n| wgrad_nn::Linear::new(&b.scope(format!("fc{n}")), 8, n));
    let ([_, none, three], params) = build(&gpu, 0, layers).unwrap();
    let x = Tensor::full(&gpu, &[2, 8], 1.0).unwrap();
    assert_eq!(none.forward(&x).unwrap().shape(), [2, 0]);
    let y = three.forward(&x).unwrap();
    assert!(y.to_vec().unwrap().iter().all(|v| v.is_finite()));
    let gradients = params.gradients(&y.sum_all().unwrap()).unwrap();
    assert_eq!(gradients.get("fc3.bias").unwrap().to_vec().unwrap(), [2.0; 3]);
    let (layer, _) = build(&gpu, 0, |b| wgrad_nn::Linear::new(b, 0, 5)).unwrap();
    let y = layer.forward(&Tensor::zeros(&gpu, &[2, 0]).unwrap()).unwrap();
    assert_eq!(y.to_vec().unwrap(), [0.0; 10]);
}

/// Where it has a flat buffer of its own, nothing of that is a value; where it shares one, nobody else's value is touched.
#[test]
fn what_has_no_elements_counts_for_nothing() {
    let gpu = wgrad_nn::autograd::Gpu::builder().family(FAMILIES[0]).poison().quiet().build().unwrap();
    let layers =
        |b: &wgrad_nn::Builder| [8, 0, 3].map(|n| wgrad_nn::Linear::new(&b.scope(format!("fc{n}")), 8, n));
    let options = BuildOptions { flat_bytes: Some(256), ..Default::default() };
    let ([eight, none, three], params) = build_with(&gpu, 0, options, layers).unwrap();
    let x = Tensor::full(&gpu, &[1, 8], 1.0).unwrap();
    let outputs = [eight.forward(&x), none.forward(&x), three.forward(&x)].map(Result::unwrap);
    let y = concat(&outputs.each_ref(), 1).unwrap();
    let mut gradients = params.gradients(&y.sum_all().unwrap()).unwrap();
    gradients.set("fc0.weight", &Tensor::zeros(&gpu, &[0, 8]).unwrap()).unwrap();
    // Each of eleven outputs has eight weights and a bias, whose gradient is 1.
    assert_eq!(gradients.clip_norm(100.0).unwrap().to_vec().unwrap(), [99f32.sqrt()]);

    let layers = |b: &wgrad_nn::Builder| {
        (wgrad_nn::Linear::new(&b.scope("fc"), 8, 3), Embedding::new(&b.scope("none"), 5, 0))
    };
    let ((three, none), params) = build(&gpu, 0, layers).unwrap();
    let rows = none.forward(&Tensor::from_slice(&gpu, &[4], &[1]).unwrap()).unwrap();
    let y = three.forward(&concat(&[&rows, &x], 1).unwrap()).unwrap();
    let gradients = params.gradients(&y.sum_all().unwrap()).unwrap();
    assert_eq!(gradients.get("fc.weight").unwrap().to_vec().unwrap(), [1.0; 24]);
}
