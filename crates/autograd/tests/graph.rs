//! The graph, its walk, and the errors at the ops' doors.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use wgrad_autograd::device::{Family, Recorded};
use wgrad_autograd::{
    Conv2dOptions, Error, Gpu, MatmulOptions, Pool2dOptions, Result, Tensor, concat, grad, no_grad,
};

fn gpu() -> Gpu {
    Gpu::builder().poison().quiet().build().unwrap()
}

fn tensor(gpu: &Gpu, values: &[f32]) -> Tensor {
    Tensor::from_slice(gpu, values, &[values.len()]).unwrap()
}

#[test]
fn gradients_accumulate_over_all_uses() -> Result<()> {
    let gpu = gpu();
    let x = tensor(&gpu, &[1.0, -2.0, 3.0]).tracked();
    let w = tensor(&gpu, &[2.0, 0.5, -1.0]).tracked();
    // y = Σ (x·w + x²·w + 3·x): x has three uses, one of them through another use.
    let y = x.mul(&w)?.add(&x.square()?.mul(&w)?)?.add(&x.mul_add_scalar(3.0, 0.0)?)?.sum_all()?;
    let gradients = y.backward()?;
    assert_eq!(gradients.len(), 2);
    assert_eq!(gradients.get(&x).unwrap().to_vec()?, [2.0 + 4.0 + 3.0, 0.5 - 2.0 + 3.0, -1.0 - 6.0 + 3.0]);
    assert_eq!(gradients.get(&w).unwrap().to_vec()?, [2.0, 2.0, 12.0]);
    Ok(())
}

/// A list of axes that was computed may be empty; it must not mean all of them then.
#[test]
fn an_empty_list_of_axes_reduces_nothing() -> Result<()> {
    let gpu = gpu();
    // A zero's sign and a NaN stay too: nothing is computed.
    let x = Tensor::from_slice(&gpu, &[1.0, -0.0, f32::NAN, 4.0, 5.0, -6.0], &[2, 3])?.tracked();
    let bits = |t: &Tensor| t.to_vec().unwrap().into_iter().map(f32::to_bits).collect::<Vec<_>>();
    let long = |&(_, n): &(isize, &usize)| *n > 3;
    let axes: Vec<isize> = (0..).zip(x.shape()).filter(long).map(|(d, _)| d).collect();
    for y in [x.sum(&axes)?, x.mean(&axes)?, x.max(&axes)?] {
        assert_eq!((y.shape(), bits(&y)), (x.shape(), bits(&x)));
        let dy = Tensor::from_slice(&gpu, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3])?;
        let gradients = y.backward_from(&dy)?;
        assert_eq!(gradients.get(&x).unwrap().to_vec()?, dy.to_vec()?);
    }
    let y = x.slice(0, 1, 2)?;
    assert_eq!([y.sum_all()?.item()?, y.mean_all()?.item()?, y.max_all()?.item()?], [3.0, 1.0, 5.0]);
    Ok(())
}

#[test]
fn a_diamond_is_walked_once_from_its_end() -> Result<()> {
    // 2^30 paths lead from y to x.
    let gpu = gpu();
    let x = tensor(&gpu, &[1.5]).tracked();
    let mut y = x.clone();
    for _ in 0..30 {
        y = y.mul_add_scalar(0.5, 0.0)?.add(&y.mul_add_scalar(0.5, 0.0)?)?;
    }
    assert_eq!(y.backward()?.get(&x).unwrap().to_vec()?, [1.0]);
    Ok(())
}

#[test]
fn a_leaf_is_its_own_gradient_and_others_have_none() -> Result<()> {
    let gpu = gpu();
    let (x, other) = (tensor(&gpu, &[1.0]).tracked(), tensor(&gpu, &[1.0]).tracked());
    let mut gradients = x.backward()?;
    assert!(gradients.get(&other).is_none());
    assert_eq!(gradients.take(&x).unwrap().to_vec()?, [1.0]);
    assert!(gradients.take(&x).is_none() && gradients.is_empty());
    Ok(())
}

#[test]
fn no_grad_and_detach_cut_the_graph() -> Result<()> {
    let gpu = gpu();
    let x = tensor(&gpu, &[1.0, 2.0]).tracked();
    let y = no_grad(|| no_grad(|| x.square()).and_then(|y| y.square()))?;
    assert!(!y.is_tracked());
    assert!(x.square()?.is_tracked(), "no_grad ends with its closure");
    let caught = std::panic::catch_unwind(|| no_grad(|| panic!("as a test")));
    assert!(caught.is_err() && x.square()?.is_tracked(), "no_grad ends with a panic too");

    // d/dx Σ x·detach(x) is detach(x), not 2x.
    let gradients = x.mul(&x.detach())?.sum_all()?.backward()?;
    assert_eq!(gradients.get(&x).unwrap().to_vec()?, [1.0, 2.0]);
    assert!(matches!(x.detach().sum_all()?.backward(), Err(Error::NotTracked)));
    // Another thread records while this one does not.
    no_grad(|| std::thread::scope(|s| assert!(s.spawn(|| x.square().unwrap().is_tracked()).join().unwrap())));
    Ok(())
}

#[test]
fn wrong_walks_are_refused() -> Result<()> {
    let gpu = gpu();
    let x = tensor(&gpu, &[1.0, 2.0]).tracked();
    let squares = x.square()?;
    let y = squares.sum_all()?;
    y.backward()?;
    assert!(matches!(y.backward(), Err(Error::AlreadyWalked)));
    // Another loss over a part that was walked.
    assert!(matches!(squares.mean_all()?.backward(), Err(Error::AlreadyWalked)));
    let error = x.square()?.backward().unwrap_err().to_string();
    assert!(error.contains("[2] of f32 is no scalar") && error.contains("backward_from"), "{error}");
    let error = x.square()?.backward_from(&tensor(&gpu, &[1.0; 3])).unwrap_err().to_string();
    assert!(error.contains("[3]") && error.contains("[2]"), "{error}");
    assert!(matches!(tensor(&gpu, &[1.0]).backward(), Err(Error::NotTracked)));
    Ok(())
}

#[test]
fn a_chain_of_20_000_ops_is_walked_and_dropped() {
    // In a small stack, so that recursion over the chain would show.
    let chain = || {
        let gpu = gpu();
        let x = tensor(&gpu, &[1.0]).tracked();
        let grow = || (0..20_000).fold(x.clone(), |y, _| y.mul_add_scalar(1.0, 1.0).unwrap());
        let y = grow();
        assert_eq!(y.to_vec().unwrap(), [20_001.0]);
        assert_eq!(y.backward().unwrap().get(&x).unwrap().to_vec().unwrap(), [1.0]);
        // One graph is dropped walked, the other as it was recorded.
        drop(y);
        drop(grow());
    };
    std::thread::Builder::new().stack_size(256 << 10).spawn(chain).unwrap().join().unwrap();
}

#[test]
fn unneeded_gradients_are_not_computed() -> Result<()> {
    for family in [Family::Cpu, Family::Gpu] {
        let gpu = Gpu::builder().quiet().family(family).build()?;
        let names = |track_x: bool, track_w: bool| -> Result<Vec<String>> {
            let track = |t: Tensor, track: bool| if track { t.tracked() } else { t };
            let x = track(Tensor::zeros(&gpu, &[2, 3, 5, 5])?, track_x);
            let w = track(Tensor::zeros(&gpu, &[4, 3, 3, 3])?, track_w);
            let y = x.conv2d(&w, None, Conv2dOptions::default())?;
            gpu.submit()?;
            let gradients = y.backward_from(&y.detach())?;
            assert_eq!(gradients.len(), usize::from(track_x) + usize::from(track_w));
            let recorded = gpu.pending_commands().into_iter().map(|Recorded { name, .. }| name).collect();
            gpu.submit()?;
            Ok(recorded)
        };
        let (both, x, w) = (names(true, true)?, names(true, false)?, names(false, true)?);
        let any = |names: &[String], part: &str| names.iter().any(|name| name.contains(part));
        assert!(any(&both, "input_grad") && any(&both, "weight_grad"), "{both:?}");
        assert!(any(&x, "input_grad") && !any(&x, "weight_grad"), "{x:?}");
        assert!(!any(&w, "input_grad") && any(&w, "weight_grad"), "{w:?}");
        // What one gradient costs is not spent twice: both together launch what each does.
        assert_eq!(both.len(), x.len() + w.len(), "{both:?}");
    }
    Ok(())
}

/// Of layer norm, whose three gradients need less and less of what comes before them.
#[test]
fn unneeded_gradients_are_not_recorded() -> Result<()> {
    let gpu = gpu();
    let leaf = |shape: &[usize]| Tensor::full(&gpu, shape, 0.5).map(|x| x.tracked());
    let (x, weight, bias) = (leaf(&[3, 5])?, leaf(&[5])?, leaf(&[5])?);
    let y = x.layer_norm(Some(&weight), Some(&bias), 1e-5)?;
    let loss = y.mul(&y)?.sum_all()?;
    let names = |of: &Tensor| -> Result<Vec<String>> {
        gpu.submit()?;
        let [_gradient] = grad(&loss, [of])?;
        Ok(gpu.pending_commands().into_iter().map(|Recorded { name, .. }| name).collect())
    };
    let (of_x, of_weight, of_bias) = (names(&x)?, names(&weight)?, names(&bias)?);
    let roots = |names: &[String]| names.iter().filter(|name| name.contains("sqrt")).count();
    assert_eq!([roots(&of_x), roots(&of_weight), roots(&of_bias)], [1, 1, 0], "{of_bias:?}");
    assert!(of_weight.len() < of_x.len(), "{of_weight:?} {of_x:?}");
    // With a sum over the rows, the weight's and the bias's gradient alone.
    let sums = |names: &[String]| names.iter().filter(|name| name.starts_with("reduce+sum")).count();
    assert_eq!([sums(&of_x), sums(&of_weight), sums(&of_bias)], [4, 3, 1], "{of_x:?} {of_weight:?}");
    Ok(())
}

#[test]
fn mismatched_shapes_are_named_with_the_op() -> Result<()> {
    let gpu = gpu();
    let t = |shape: &[usize]| Tensor::zeros(&gpu, shape).unwrap();
    let (m, v, image) = (t(&[2, 3]), t(&[4]), t(&[1, 2, 5, 5]));
    let labels = Tensor::from_slice(&gpu, &[0, 1, 2], &[3])?;
    let options = Conv2dOptions::default();
    let grouped = Conv2dOptions { groups: 2, ..options };
    let halting = Conv2dOptions { stride: [0, 1], ..options };
    let wide = Pool2dOptions { padding: [2, 0], ..Pool2dOptions::square(2) };
    let none = t(&[2, 0]);
    let refused: Vec<(&str, &[&str], Result<Tensor>)> = vec![
        ("add", &["[2, 3]", "[4]", "3 ≠ 4"], m.add(&v)),
        ("sub", &["[2, 3]", "[4]"], m.sub(&v)),
        ("mul", &["[2, 3]", "[4]"], m.mul(&v)),
        ("div", &["[2, 3]", "[4]"], m.div(&v)),
        ("equal", &["[2, 3]", "[4]"], m.equal(&v)),
        ("clamp", &["2", "1"], m.clamp(2.0, 1.0)),
        ("clamp", &["NaN"], m.clamp(f32::NAN, 1.0)),
        ("matmul", &["[2, 3]", "3 ≠ 2"], m.matmul(&m)),
        (
            "matmul",
            &["[2, 3]ᵀ", "2 ≠ 3"],
            m.matmul_with(&m, MatmulOptions { transpose: true, transpose_other: true, ..Default::default() }),
        ),
        ("matmul", &["[4]"], m.matmul(&v)),
        ("matmul", &["[5]", "[7]"], t(&[5, 2, 3]).matmul(&t(&[7, 3, 2]))),
        ("linear", &["[2, 3]", "[5, 4]"], m.linear(&t(&[5, 4]), None)),
        ("linear", &["[2, 3]", "[5, 3]", "[4]"], m.linear(&t(&[5, 3]), Some(&v))),
        ("linear", &["[4]"], m.linear(&v, None)),
        ("conv2d", &["[2, 3]"], m.conv2d(&t(&[3, 2, 3, 3]), None, options)),
        ("conv2d", &["[1, 2, 5, 5]", "[3, 4, 3, 3]"], image.conv2d(&t(&[3, 4, 3, 3]), None, options)),
        ("conv2d", &["[3, 1, 3, 3]", "2 group"], image.conv2d(&t(&[3, 1, 3, 3]), None, grouped)),
        ("conv2d", &["[3, 2, 7, 3]"], image.conv2d(&t(&[3, 2, 7, 3]), None, options)),
        ("conv2d", &["stride"], image.conv2d(&t(&[3, 2, 3, 3]), None, halting)),
        ("conv2d", &["[4]", "[3, 2, 3, 3]"], image.conv2d(&t(&[3, 2, 3, 3]), Some(&v), options)),
        ("max_pool2d", &["[2, 3]"], m.max_pool2d(Pool2dOptions::square(2))),
        ("max_pool2d", &["[6, 6]", "[1, 2, 5, 5]"], image.max_pool2d(Pool2dOptions::square(6))),
        ("max_pool2d", &["at least 1"], image.max_pool2d(Pool2dOptions::square(0))),
        ("avg_pool2d", &["padding"], image.avg_pool2d(wide)),
        ("sum", &["axis 2", "[2, 3]"], m.sum(&[2])),
        ("mean", &["[1, 1]"], m.mean(&[1, 1])),
        ("max", &["axis 5", "[2, 3]"], m.max(&[5])),
        ("max", &["[2, 0]", "no elements"], none.max(&[1])),
        ("argmin", &["[2, 0]", "no elements"], none.argmin(1)),
        ("layer_norm", &["weight [4]", "[2, 3]"], m.layer_norm(Some(&v), None, 1e-5)),
        ("layer_norm", &["eps -1"], m.layer_norm(None, None, -1.0)),
        ("reshape", &["[2, 3]", "[4]"], m.reshape(&[4])),
        ("flatten", &["axis 2", "[2, 3]"], m.flatten(2)),
        ("permute", &["[0, 0]", "[2, 3]"], m.permute(&[0, 0])),
        ("permute", &["axis 2", "[2, 3]"], m.permute(&[2, 1])),
        ("slice", &["1..4", "axis 1", "[2, 3]"], m.slice(1, 1, 4)),
        ("slice", &["2..1"], m.slice(1, 2, 1)),
        ("slice", &["axis -3", "-2 to 1"], m.slice(-3, 0, 1)),
        ("split", &["[1, 1]", "[2, 3]"], m.split(-1, &[1, 1]).map(|mut parts| parts.remove(0))),
        ("squeeze", &["axis 0", "[2, 3]"], m.squeeze(0)),
        ("unsqueeze", &["axis 3"], m.unsqueeze(3)),
        ("slice", &["axis 2"], m.slice(2, 0, 1)),
        ("broadcast_to", &["[2, 3]", "[4]"], m.broadcast_to(&[4])),
        ("broadcast_to", &["[2, 3]", "[3]"], m.broadcast_to(&[3])),
        ("concat", &["[2, 3]", "[4]"], concat(&[&m, &v], 0)),
        ("concat", &["axis 2", "[2, 3]"], concat(&[&m], 2)),
        ("concat", &["no tensors"], concat(&[], 0)),
        ("softmax", &["scalar"], t(&[]).softmax()),
        ("cross_entropy", &["[2, 3]", "[3]"], m.cross_entropy(&labels, 0.0)),
        ("cross_entropy", &["1.5"], t(&[3, 2]).cross_entropy(&labels, 1.5)),
        ("mse_loss", &["[2, 3]", "[4]"], m.mse_loss(&v)),
        ("bce_with_logits", &["[2, 3]", "[4]"], m.bce_with_logits(&v)),
        ("dropout", &["1.0001"], m.dropout(1.0001, 0, 0)),
        ("dropout", &["-0.1"], m.dropout(-0.1, 0, 0)),
        ("dropout", &["inf"], m.dropout(f32::INFINITY, 0, 0)),
        ("dropout", &["NaN"], m.dropout(f32::NAN, 0, 0)),
        ("from_slice", &["5 values", "[2, 3]"], Tensor::from_slice(&gpu, &[0.0; 5], &[2, 3])),
    ];
    for (op, parts, result) in refused {
        let error = result.expect_err(op);
        assert!(matches!(error, Error::Shape { .. }), "{op}: {error}");
        let message = error.to_string();
        assert!(message.starts_with(op), "{op}: {message}");
        assert!(message.lines().count() <= 2, "{message}");
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
    }
    let error = m.item().unwrap_err().to_string();
    assert!(error.starts_with("item") && error.contains("[2, 3]"), "{error}");
    Ok(())
}

#[test]
fn refused_ops_launch_nothing() -> Result<()> {
    let gpu = gpu();
    let (m, v) = (Tensor::zeros(&gpu, &[2, 3])?, Tensor::zeros(&gpu, &[4])?);
    gpu.submit()?;
    assert!(m.add(&v).is_err() && m.matmul(&m).is_err() && concat(&[&m, &v], 0).is_err());
    assert_eq!(gpu.pending_commands(), []);
    Ok(())
}

#[test]
fn a_tensor_over_the_limits_names_the_limit_and_a_batch_that_fits() -> Result<()> {
    let gpu = Gpu::builder().quiet().baseline().build()?;
    let error = Tensor::empty(&gpu, &[1 << 20, 64, 32, 32]).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    let message = error.to_string();
    // 128 MiB hold 512 samples of 64·32·32 floats.
    for part in ["[1048576, 64, 32, 32]", "max_storage_buffer_binding_size", "134217728", "at most 512 fits"]
    {
        assert!(message.contains(part), "{message}");
    }
    Tensor::empty(&gpu, &[512, 64, 32, 32])?;
    assert!(Tensor::empty(&gpu, &[513, 64, 32, 32]).is_err());
    let message = Tensor::empty(&gpu, &[2, 1 << 26]).unwrap_err().to_string();
    assert!(message.contains("not even a batch of 1"), "{message}");
    // Sizes that overflow 64 bits are no smaller for it.
    for shape in [&[1 << 40, 1 << 40][..], &[usize::MAX], &[usize::MAX; 3], &[1 << 32, 1 << 32, 4]] {
        let error = Tensor::full(&gpu, shape, 1.0).unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
        let message = error.to_string();
        assert!(
            message.contains("overflows") && !message.contains("18446744073709551615 bytes"),
            "{message}"
        );
        // As many values as the product is modulo 2^64.
        assert!(Tensor::from_slice::<f32>(&gpu, &[], shape).is_err());
        assert!(Tensor::from_slice(&gpu, &[0.0; 4], &[2]).unwrap_err().to_string().contains("4 values"));
    }
    // An op's result is refused in the same way.
    let column = Tensor::zeros(&gpu, &[1 << 20, 1])?;
    let message = column.broadcast_to(&[1 << 20, 64])?.contiguous().unwrap_err().to_string();
    assert!(message.contains("at most 524288 fits"), "{message}");
    Ok(())
}

#[test]
fn a_label_that_is_no_class_makes_the_loss_nan() -> Result<()> {
    let gpu = gpu();
    let x = Tensor::zeros(&gpu, &[2, 3])?;
    let loss =
        |labels: &[i32]| x.cross_entropy(&Tensor::from_slice(&gpu, labels, &[labels.len()])?, 0.0)?.item();
    assert!((loss(&[0, 2])? - 3f32.ln()).abs() < 1e-6);
    assert!(loss(&[0, 3])?.is_nan() && loss(&[-1, 0])?.is_nan());
    Ok(())
}

#[test]
fn a_filled_tensor_has_the_very_bits() -> Result<()> {
    let gpu = gpu();
    for value in [0.0, -0.0, 1.5, f32::NAN, f32::NEG_INFINITY, 1e-40, -1e-40, f32::MIN_POSITIVE] {
        for shape in [&[][..], &[7], &[2, 300]] {
            let got = Tensor::full(&gpu, shape, value)?.to_vec()?;
            assert!(got.iter().all(|x| x.to_bits() == value.to_bits()), "{value}: {got:?}");
        }
    }
    assert!(Tensor::zeros(&gpu, &[5])?.to_vec()?.iter().all(|x| x.to_bits() == 0));
    Ok(())
}

/// PyTorch multiplies by 0 then: zeros, and NaN where the element is not finite.
#[test]
fn a_dropout_rate_of_1_gives_zeros() -> Result<()> {
    for family in [Family::Cpu, Family::Gpu] {
        let gpu = Gpu::builder().poison().quiet().family(family).build()?;
        let n = 1000;
        let values: Vec<f32> = (0..n).map(|i| (i as f32 - 500.0) * 1e30).collect();
        let x = tensor(&gpu, &values).tracked();
        for key in 0..3 {
            let y = x.dropout(1.0, key, 7)?;
            assert!(y.to_vec()?.iter().all(|&y| y == 0.0));
            let dy = y.backward_from(&tensor(&gpu, &values))?.take(&x).unwrap().to_vec()?;
            assert!(dy.iter().all(|&dy| dy == 0.0));
        }
        let odd = tensor(&gpu, &[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX]);
        let y = odd.dropout(1.0, 0, 0)?.to_vec()?;
        assert!(y[..3].iter().all(|y| y.is_nan()) && y[3] == 0.0, "{y:?}");
        // Just below 1, where hardly one in 16 million is kept, the rest is as before.
        let rate = 1.0 - f32::EPSILON / 2.0;
        let kept = x.dropout(rate, 1, 1)?.to_vec()?.into_iter().filter(|&y| y != 0.0).count();
        assert!(kept <= 1, "{kept}");
    }
    Ok(())
}
