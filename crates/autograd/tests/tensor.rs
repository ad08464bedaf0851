//! The one tensor: types, views, tensors without elements, picked elements, and gradients of gradients.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use wgrad_autograd::device::Family;
use wgrad_autograd::{DType, Elementwise, Error, Gpu, Result, Tensor, concat, f16, grad};
use wgrad_testkit::compare::assert_close;
use wgrad_testkit::sample::Sampler;
use wgrad_testkit::{Array, gradient::numeric_gradient};

fn gpu() -> Gpu {
    Gpu::builder().poison().quiet().build().unwrap()
}

fn counted(gpu: &Gpu, shape: &[usize]) -> Tensor {
    let values: Vec<f32> = (0..shape.iter().product::<usize>()).map(|i| i as f32).collect();
    Tensor::from_slice(gpu, &values, shape).unwrap()
}

#[test]
fn values_of_every_type_come_back_and_are_converted() -> Result<()> {
    let gpu = gpu();
    let integers = Tensor::from_slice(&gpu, &[-1, 0, 7, 255, 256, 16_777_217, i32::MAX], &[7])?;
    assert_eq!((integers.dtype(), integers.to_vec_as::<i32>()?[5]), (DType::I32, 16_777_217));
    let bytes = Tensor::from_slice(&gpu, &[0u8, 1, 2, 250, 255], &[5])?;
    assert_eq!(bytes.to_vec_as::<u8>()?, [0, 1, 2, 250, 255]);
    assert_eq!(bytes.to_dtype(DType::F32)?.to_vec()?, [0.0, 1.0, 2.0, 250.0, 255.0]);
    assert_eq!(bytes.to_dtype(DType::I32)?.to_vec_as::<i32>()?, [0, 1, 2, 250, 255]);
    // Modulo 256, as PyTorch.
    assert_eq!(integers.to_dtype(DType::U8)?.to_vec_as::<u8>()?, [255, 0, 7, 255, 0, 1, 255]);
    assert_eq!(integers.to_dtype(DType::F32)?.to_vec()?[..4], [-1.0, 0.0, 7.0, 255.0]);
    let floats = Tensor::from_slice(&gpu, &[-2.75, -0.5, 0.0, 1.5, 255.9], &[5])?;
    assert_eq!(floats.to_dtype(DType::I32)?.to_vec_as::<i32>()?, [-2, 0, 0, 1, 255]);
    assert_eq!(floats.to_dtype(DType::U8)?.to_vec_as::<u8>()?[2..], [0, 1, 255]);
    let halves = floats.to_dtype(DType::F16)?;
    assert_eq!(halves.to_vec_as::<f16>()?[3], f16::from_f32(1.5));
    assert_eq!((halves.to_vec()?[4], halves.to_dtype(DType::I32)?.to_vec_as::<i32>()?[4]), (255.875, 255));
    let error = integers.to_vec().unwrap_err();
    assert!(matches!(error, Error::DType { .. }) && error.to_string().contains("i32 read as f32"), "{error}");
    assert!(!integers.tracked().is_tracked());
    Ok(())
}

#[test]
fn arithmetic_of_integers_is_exact() -> Result<()> {
    let gpu = gpu();
    let a = Tensor::from_slice(&gpu, &[16_777_217, -5, i32::MAX, 46_341], &[4])?;
    let b = Tensor::from_slice(&gpu, &[2, 3, 1, 46_341], &[4])?;
    assert_eq!(a.add(&b)?.to_vec_as::<i32>()?, [16_777_219, -2, i32::MIN, 92_682]);
    assert_eq!(a.sub(&b)?.to_vec_as::<i32>()?, [16_777_215, -8, i32::MAX - 1, 0]);
    assert_eq!(a.mul(&b)?.to_vec_as::<i32>()?, [33_554_434, -15, i32::MAX, 46_341i32.wrapping_mul(46_341)]);
    assert_eq!(a.neg()?.abs()?.to_vec_as::<i32>()?, [16_777_217, 5, i32::MAX, 46_341]);
    assert_eq!(a.equal(&a)?.to_vec_as::<i32>()?, [1; 4]);
    // With a view: the last column of a matrix, broadcast.
    let m = Tensor::from_slice(&gpu, &[1, 2, 3, 4, 5, 6], &[2, 3])?;
    assert_eq!(m.mul(&m.slice(1, 2, 3)?)?.to_vec_as::<i32>()?, [3, 6, 9, 24, 30, 36]);
    Ok(())
}

#[test]
fn types_that_do_not_fit_are_named_with_shapes() -> Result<()> {
    let gpu = gpu();
    let x = counted(&gpu, &[2, 3]);
    let (whole, half) = (x.to_dtype(DType::I32)?, x.to_dtype(DType::F16)?);
    let bytes = x.to_dtype(DType::U8)?;
    let refused: Vec<(&str, &[&str], Result<Tensor>)> = vec![
        ("add", &["[2, 3]", "f32", "f16"], x.add(&half)),
        ("mul", &["f32", "i32"], x.mul(&whole)),
        ("add", &["u8"], bytes.add(&bytes)),
        ("div", &["i32", "floats"], whole.div(&whole)),
        ("exp", &["[2, 3]", "i32"], whole.exp()),
        ("softmax", &["i32"], whole.softmax()),
        ("matmul", &["f32", "f16"], x.matmul(&half.permute(&[1, 0])?)),
        ("concat", &["f32", "i32"], concat(&[&x, &whole], 0)),
        ("index_select", &["indices [2, 3] of f32"], x.flatten(0)?.index_select(0, &x).or(x.gather(0, &x))),
        ("cross_entropy", &["labels [2] of f32"], x.cross_entropy(&counted(&gpu, &[2]), 0.0)),
        (
            "broadcast_to",
            &["50000, 50000", "2147483647"],
            counted(&gpu, &[50_000, 1]).broadcast_to(&[50_000, 50_000]),
        ),
    ];
    for (op, parts, result) in refused {
        let message = result.expect_err(op).to_string();
        assert!(message.lines().count() <= 2, "{message}");
        for part in parts {
            assert!(message.contains(part), "no {part:?} in: {message}");
        }
    }
    assert!(matches!(x.add(&half), Err(Error::DType { op: "add", .. })));
    Ok(())
}

#[test]
fn views_launch_nothing_and_see_the_right_elements() -> Result<()> {
    let gpu = Gpu::builder().quiet().build()?;
    let x = counted(&gpu, &[2, 3, 4]);
    gpu.submit()?;
    let turned = x.transpose(0, -1)?;
    let views = [
        (
            x.slice(1, 1, 3)?,
            vec![4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 16.0, 17.0, 18.0, 19.0, 20.0, 21.0, 22.0, 23.0],
        ),
        (x.narrow(-1, 3, 1)?.squeeze(-1)?, vec![3.0, 7.0, 11.0, 15.0, 19.0, 23.0]),
        (turned.slice(0, 2, 3)?, vec![2.0, 14.0, 6.0, 18.0, 10.0, 22.0]),
        (turned.split(1, &[1, 2])?[0].clone(), vec![0.0, 12.0, 1.0, 13.0, 2.0, 14.0, 3.0, 15.0]),
        (
            x.reshape(&[6, 4])?.slice(0, 5, 6)?.unsqueeze(0)?.broadcast_to(&[2, 1, 4])?,
            vec![20.0, 21.0, 22.0, 23.0, 20.0, 21.0, 22.0, 23.0],
        ),
        (
            x.permute(&[-2, 0, 2])?.reshape(&[3, 8])?.slice(0, 1, 2)?,
            vec![4.0, 5.0, 6.0, 7.0, 16.0, 17.0, 18.0, 19.0],
        ),
    ];
    // Permuted axes that cannot be joined are copied; all else is the same buffer.
    assert_eq!(gpu.pending_commands().len(), 1);
    for (view, want) in views {
        assert_eq!(view.to_vec()?, want, "{view:?}");
        assert_eq!(
            view.mul_add_scalar(2.0, 1.0)?.to_vec()?,
            want.iter().map(|v| 2.0 * v + 1.0).collect::<Vec<_>>()
        );
    }
    // Bytes share words: a view of every third.
    let bytes = Tensor::from_slice(&gpu, &(0..12u8).collect::<Vec<_>>(), &[4, 3])?;
    assert_eq!(bytes.transpose(0, 1)?.slice(0, 1, 2)?.to_vec_as::<u8>()?, [1, 4, 7, 10]);
    assert_eq!(
        concat(&[&bytes.slice(1, 0, 1)?, &bytes.slice(1, 2, 3)?], 0)?.to_vec_as::<u8>()?,
        [0, 3, 6, 9, 2, 5, 8, 11]
    );
    assert_eq!(Tensor::stack(&[&x.slice(2, 0, 1)?, &x.slice(2, 1, 2)?], -1)?.shape(), [2, 3, 1, 2]);
    Ok(())
}

/// Query, key and value of one product: their gradients are gathered in one tensor, cleared once.
#[test]
fn the_gradients_of_parts_are_gathered_in_one_tensor() -> Result<()> {
    let gpu = gpu();
    let x = counted(&gpu, &[4, 6]).tracked();
    let whole = x.mul_add_scalar(1.0, 0.0)?;
    let parts = whole.split(1, &[2, 2, 2])?;
    // The first twice.
    let y = parts[0].mul(&parts[1])?.add(&parts[2])?.add(&whole.slice(1, 0, 2)?)?.sum_all()?;
    gpu.submit()?;
    let gradients = y.backward()?;
    let commands = gpu.pending_commands();
    let of = |name: &str| commands.iter().filter(|command| command.name.contains(name)).count();
    assert_eq!((of("scatter"), of("binary")), (4, 2), "{commands:?}");
    let want: Vec<f32> = (0..24)
        .map(|i| match i % 6 {
            0 | 1 => i as f32 + 3.0,
            2 | 3 => i as f32 - 2.0,
            _ => 1.0,
        })
        .collect();
    assert_eq!(gradients.get(&x).unwrap().to_vec()?, want);
    Ok(())
}

#[test]
fn tensors_without_elements_are_tensors() -> Result<()> {
    let gpu = gpu();
    for shape in [&[0][..], &[0, 3], &[4, 0, 2], &[0, 1 << 60, 1 << 60]] {
        let x = Tensor::zeros(&gpu, shape)?.tracked();
        assert!(x.is_empty() && x.numel() == 0 && x.to_vec()?.is_empty());
        let y = x.exp()?.mul(&x)?.relu()?.softmax()?;
        assert_eq!(y.shape(), shape);
        assert_eq!(x.transpose(0, -1)?.contiguous()?.numel(), 0);
        let sum = x.square()?.sum_all()?;
        assert_eq!(sum.item()?, 0.0);
        assert_eq!(sum.backward()?.get(&x).unwrap().shape(), shape);
        assert!(x.mean_all()?.item()?.is_nan());
        assert!(matches!(x.max_all(), Err(Error::Shape { op: "max", .. })));
    }
    let x = counted(&gpu, &[2, 3]).tracked();
    let none = x.slice(0, 1, 1)?;
    assert_eq!((none.shape(), none.to_vec()?.len()), (&[0, 3][..], 0));
    let joined = concat(&[&none, &x, &none], 0)?;
    assert_eq!((joined.shape(), joined.to_vec()?), (&[2, 3][..], x.to_vec()?));
    assert_eq!(joined.sum_all()?.backward()?.get(&x).unwrap().to_vec()?, [1.0; 6]);
    // A product of no terms is 0, of no rows it is empty.
    let (wide, tall) = (Tensor::zeros(&gpu, &[2, 0])?, Tensor::zeros(&gpu, &[0, 3])?);
    assert_eq!(wide.matmul(&tall)?.to_vec()?, [0.0; 6]);
    assert_eq!(tall.matmul(&counted(&gpu, &[3, 5]))?.shape(), [0, 5]);
    assert!(x.reshape(&[0]).is_err() && Tensor::from_slice::<f32>(&gpu, &[], &[0]).is_ok());
    assert!(Tensor::from_slice(&gpu, &[0.0], &[0]).is_err());
    assert!(matches!(Tensor::zeros(&gpu, &[0])?.read_later(), Err(Error::Shape { .. })));
    Ok(())
}

#[test]
fn elements_are_picked_and_what_is_out_of_range_is_poisoned() -> Result<()> {
    for family in [Family::Cpu, Family::Gpu] {
        let gpu = Gpu::builder().family(family).poison().quiet().build().unwrap();
        let x = counted(&gpu, &[3, 4]).tracked();
        let at = |values: &[i32], shape: &[usize]| Tensor::from_slice(&gpu, values, shape);
        let y = x.index_select(1, &at(&[3, 0, 3], &[3])?)?;
        assert_eq!(y.to_vec()?, [3.0, 0.0, 3.0, 7.0, 4.0, 7.0, 11.0, 8.0, 11.0]);
        let dy = counted(&gpu, &[3, 3]);
        let dx = y.backward_from(&dy)?;
        assert_eq!(dx.get(&x).unwrap().to_vec()?, [1., 0., 0., 2., 4., 0., 0., 8., 7., 0., 0., 14.]);
        let y = x.gather(-2, &at(&[2, 0, 1, 1, 2, 2, 0, 1], &[2, 4])?)?;
        assert_eq!(y.to_vec()?, [8.0, 1.0, 6.0, 7.0, 8.0, 9.0, 2.0, 7.0]);
        let dx = y.backward_from(&counted(&gpu, &[2, 4]))?;
        assert_eq!(dx.get(&x).unwrap().to_vec()?, [0., 1., 6., 0., 0., 0., 2., 10., 4., 5., 0., 0.]);
        // Nothing outside is read, and the gradient goes nowhere.
        let y = x.embedding(&at(&[1, -1, 3, i32::MIN, i32::MAX, 2], &[2, 3])?)?;
        let values = y.to_vec()?;
        assert_eq!((y.shape(), &values[..4]), (&[2, 3, 4][..], &[4.0, 5.0, 6.0, 7.0][..]));
        assert!(values[4..20].iter().all(|v| v.is_nan()) && values[20..] == [8.0, 9.0, 10.0, 11.0]);
        let dx = y.sum_all()?.backward()?;
        assert_eq!(dx.get(&x).unwrap().to_vec()?, [0., 0., 0., 0., 1., 1., 1., 1., 1., 1., 1., 1.]);
        assert_eq!(
            at(&[5, 6], &[2])?.index_select(0, &at(&[1, 2], &[2])?)?.to_vec_as::<i32>()?,
            [6, i32::MIN]
        );
    }
    Ok(())
}

/// Indices that come many times and far apart, of more places than a loop may look at.
#[test]
fn the_gradient_of_a_long_lookup_is_the_sum_over_its_places() -> Result<()> {
    let gpu = gpu();
    let places = 70_000;
    let at: Vec<i32> =
        (0..places).map(|i| (((i as u64 * 2_654_435_761) >> 7) % 1_000) as i32).chain([1_000]).collect();
    let table = Tensor::zeros(&gpu, &[1_001, 2])?.tracked();
    let y = table.embedding(&Tensor::from_slice(&gpu, &at, &[at.len()])?)?;
    let dx = y.sum_all()?.backward()?.take(&table).unwrap().to_vec()?;
    for (index, pair) in dx.chunks(2).enumerate() {
        let count = at.iter().filter(|&&at| at == index as i32).count() as f32;
        assert_eq!(pair, [count; 2], "index {index}");
    }
    Ok(())
}

type Function = fn(&Tensor) -> Result<Tensor>;

/// The gradient of the gradient, by differences of the first. Inputs lie away from kinks and poles.
#[test]
fn gradients_have_gradients() {
    let functions: &[(&str, Function)] = &[
        ("neg", |x| x.neg()?.mul(x)),
        ("exp", Tensor::exp),
        ("expm1", Tensor::expm1),
        ("log", Tensor::log),
        ("log1p", Tensor::log1p),
        ("sqrt", Tensor::sqrt),
        ("square", |x| x.square()?.mul(x)),
        ("abs", |x| x.abs()?.mul(x)),
        ("relu", |x| x.relu()?.mul(x)),
        ("sigmoid", Tensor::sigmoid),
        ("tanh", Tensor::tanh),
        ("softplus", Tensor::softplus),
        ("gelu", Tensor::gelu),
        ("clamp", |x| x.clamp(0.0, 0.9)?.mul(x)),
        ("mul_add_scalar", |x| x.mul_add_scalar(2.0, 1.0)?.mul(x)),
        ("dropout", |x| x.square()?.dropout(0.3, 1, 2)?.mul(x)),
        ("div", |x| x.div(&x.mul_add_scalar(1.0, 1.0)?)),
        ("broadcast", |x| x.mul(&x.slice(0, 0, 1)?)?.sub(x)),
        ("views", |x| {
            x.permute(&[1, 0])?.reshape(&[6])?.slice(0, 1, 6)?.square()?.mul_add_scalar(0.5, 0.0)?.exp()
        }),
        ("concat", |x| concat(&[&x.square()?, x], 0)?.exp()),
        ("index_select", |x| {
            x.index_select(1, &Tensor::from_slice(x.gpu(), &[2, 0, 2], &[3])?)?
                .square()?
                .mul_add_scalar(1.0, 0.5)?
                .exp()
        }),
        ("f16", |x| x.square()?.mul(x)?.to_dtype(DType::F32)),
    ];
    for family in [Family::Cpu, Family::Gpu] {
        let gpu = Gpu::builder().family(family).poison().quiet().build().unwrap();
        let mut sampler = Sampler::new(5);
        let x = sampler.uniform(&[2, 3], 0.2, 0.8);
        for (name, function) in functions {
            let leaf = Tensor::from_slice(&gpu, &x.to_f32(), &x.shape).unwrap().tracked();
            let first = |x: &Tensor| grad(&function(x)?.sum_all()?, [x]).map(|[dx]| dx);
            let dx = first(&leaf).unwrap_or_else(|error| panic!("{name}: {error}"));
            let upstream = sampler.uniform(&x.shape, -1.0, 1.0);
            let dy = Tensor::from_slice(&gpu, &upstream.to_f32(), &x.shape).unwrap();
            let gradients = dx.backward_from(&dy).unwrap_or_else(|error| panic!("{name}: {error}"));
            let got = gradients.get(&leaf).unwrap().to_vec().unwrap();
            // The first gradient in f32 as a function of f64, with a step that f32 resolves.
            let step = 1.0 / 64.0;
            let moved = |at: usize, by: f64| {
                let mut x = x.clone();
                x.data[at] += by;
                let x = Tensor::from_slice(&gpu, &x.to_f32(), &x.shape).unwrap().tracked();
                let dx = first(&x).unwrap().to_vec().unwrap();
                dx.iter().zip(&upstream.data).map(|(a, b)| f64::from(*a) * b).sum::<f64>()
            };
            // Richardson's extrapolation takes the error in step² away.
            let slope = |at, h: f64| (moved(at, h) - moved(at, -h)) / (2.0 * h);
            let want = (0..x.len()).map(|at| (4.0 * slope(at, step / 2.0) - slope(at, step)) / 3.0).collect();
            assert_close(&format!("{name} ({family:?})"), &got, &Array::new(&x.shape, want), 1e-3, 1e-3);
        }
    }
}

#[test]
fn a_gradient_is_recorded_only_where_it_is_asked_for() -> Result<()> {
    let gpu = gpu();
    let (x, w) = (counted(&gpu, &[3]).tracked(), counted(&gpu, &[3]).tracked());
    let y = x.mul(&w)?.square()?.sum_all()?;
    let [dx, dw] = grad(&y, [&x, &w])?;
    assert!(dx.is_tracked() && dw.is_tracked());
    // x² w² by x and then by w.
    let mixed = dx.sum_all()?.backward()?;
    assert_eq!(mixed.get(&w).unwrap().to_vec()?, [0.0, 4.0, 16.0]);
    // The graph was kept, and a tensor on the way has a gradient too.
    let squares = x.square()?;
    let [ds, nothing] = grad(&squares.mul(&x)?.sum_all()?, [&squares, &w])?;
    assert_eq!((ds.to_vec()?, nothing.to_vec()?), (vec![0.0, 1.0, 2.0], vec![0.0; 3]));
    // A walk that is not recorded frees what it went through, the graph of the gradients' op included.
    assert!(matches!(y.backward(), Err(Error::AlreadyWalked)));
    assert!(x.square()?.sum_all()?.backward()?.get(&x).is_some_and(|dx| !dx.is_tracked()));
    // An op whose gradient has none says so, where a walk comes through it.
    let own = Elementwise::new("cube", "x * x * x", "3.0 * x * x", &[])?;
    let [dx] = grad(&own.apply(&x, &[])?.sum_all()?, [&x])?;
    assert_eq!(dx.to_vec()?, [0.0, 3.0, 12.0]);
    assert!(matches!(dx.sum_all()?.backward(), Err(Error::NoSecondDerivative { op: "cube" })));
    Ok(())
}

#[test]
fn gradients_are_written_where_they_are_wanted() -> Result<()> {
    let gpu = gpu();
    let (x, w) = (counted(&gpu, &[4]).tracked(), counted(&gpu, &[4]).tracked());
    let (home, unused) = (Tensor::zeros(&gpu, &[4])?, Tensor::zeros(&gpu, &[4])?);
    let apart = Tensor::zeros(&gpu, &[4])?.tracked();
    let y = x.mul(&w)?.add(&w)?.sum_all()?;
    let gradients = y.backward_into(&[(&w, &home), (&apart, &unused)])?;
    assert_eq!((gradients.len(), home.to_vec()?), (1, vec![1.0, 2.0, 3.0, 4.0]));
    assert!(gradients.get(&x).is_none() && gradients.get(&apart).is_none());
    let y = x.mul(&w)?.sum_all()?;
    let error = y.backward_into(&[(&w, &Tensor::zeros(&gpu, &[5])?)]).unwrap_err();
    assert!(error.to_string().contains("[4]") && error.to_string().contains("[5]"), "{error}");
    Ok(())
}

#[test]
fn an_op_of_ones_own_is_two_expressions() -> Result<()> {
    for family in [Family::Cpu, Family::Gpu] {
        let gpu = Gpu::builder().family(family).poison().quiet().build().unwrap();
        let snake =
            Elementwise::new("snake", "x + sin(a * x) * sin(a * x) / a", "1.0 + sin(2.0 * a * x)", &["a"])?
                .with_second_derivative("2.0 * a * cos(2.0 * a * x)");
        let x = Sampler::new(1).uniform(&[3, 5], -1.0, 1.0);
        let a = 1.5;
        let leaf = Tensor::from_slice(&gpu, &x.to_f32(), &x.shape)?.tracked();
        let reference = |x: &[Array]| x[0].map(|x| x + (a * x).sin().powi(2) / a);
        // A view, which is read as it lies.
        let y = snake.apply(&leaf.permute(&[1, 0])?, &[a as f32])?.permute(&[1, 0])?;
        assert_close("snake", &y.to_vec()?, &reference(std::slice::from_ref(&x)), 1e-5, 1e-5);
        let dy = Sampler::new(2).uniform(&x.shape, -1.0, 1.0);
        let upstream = Tensor::from_slice(&gpu, &dy.to_f32(), &x.shape)?;
        let want = numeric_gradient(std::slice::from_ref(&x), &dy, reference).remove(0);
        let got = y.backward_from(&upstream)?.take(&leaf).unwrap();
        assert_close("its gradient", &got.to_vec()?, &want, 1e-4, 1e-5);
        let [dx] = grad(&snake.apply(&leaf, &[a as f32])?.sum_all()?, [&leaf])?;
        let second = dx.sum_all()?.backward()?.take(&leaf).unwrap();
        let want = x.map(|x| 2.0 * a * (2.0 * a * x).cos());
        assert_close("its second derivative", &second.to_vec()?, &want, 1e-4, 1e-4);
        let half = snake.apply(&leaf.to_dtype(DType::F16)?, &[a as f32])?;
        assert_eq!(half.dtype(), DType::F16);
    }
    // y is the value in every expression.
    let gpu = gpu();
    let power = Elementwise::new("power", "exp(x)", "y", &[])?.with_second_derivative("y");
    let x = counted(&gpu, &[2]).tracked();
    let [dx] = grad(&power.apply(&x, &[])?.sum_all()?, [&x])?;
    let second = dx.sum_all()?.backward()?.take(&x).unwrap();
    assert_close("e^x", &second.to_vec()?, &Array::new(&[2], vec![1.0, std::f64::consts::E]), 1e-5, 0.0);
    Ok(())
}

#[test]
fn what_is_wrong_with_an_op_of_ones_own_is_said() -> Result<()> {
    let gpu = gpu();
    let x = counted(&gpu, &[3]);
    let broken = Elementwise::new("broken", "x +\n  nothing", "1.0", &[])?;
    let message = broken.apply(&x, &[]).unwrap_err().to_string();
    assert!(message.contains("broken:3:3") && message.contains("nothing"), "{message}");
    let text = Elementwise::new("typed", "x", "vec2<f32>(x)", &[])?.apply(&x, &[]).unwrap_err().to_string();
    assert!(text.contains("typed"), "{text}");
    // A loop without end, and whatever else WGSL has, stays within what is bound; text that is no expression is refused.
    for names in [&["x"][..], &["1a"], &["a b"], &[""], &["a", "b", "c", "d", "e"]] {
        assert!(Elementwise::new("op", "x", "1.0", names).is_err(), "{names:?}");
    }
    let snake = Elementwise::new("snake", "a * x", "a", &["a"])?;
    assert!(snake.apply(&x, &[]).is_err() && snake.apply(&x, &[1.0, 2.0]).is_err());
    let error = snake.apply(&x.to_dtype(DType::I32)?, &[1.0]).unwrap_err();
    assert!(matches!(error, Error::DType { op: "snake", .. }), "{error}");
    Ok(())
}

#[test]
fn operators_are_ops() -> Result<()> {
    let gpu = gpu();
    let (a, b) = (counted(&gpu, &[3]), Tensor::from_slice(&gpu, &[2.0, -0.0, 4.0], &[3])?);
    assert_eq!(((&a * 2.0)? + &b)?.to_vec()?, [2.0, 2.0, 8.0]);
    assert_eq!((1.0 - (&a / 2.0)?)?.to_vec()?, [1.0, 0.5, 0.0]);
    assert_eq!((2.0 / (&a + 1.0)?)?.to_vec()?[..2], [2.0, 1.0]);
    assert_eq!((-(a.clone() - b.clone())?)?.to_vec()?, [2.0, -1.0, 2.0]);
    assert_eq!((&a * &b)?.to_vec()?, (a.clone() * b.clone())?.to_vec()?);
    // The sign of zero stays.
    assert!((&b * 3.0)?.to_vec()?[1].is_sign_negative());
    assert!((&a + &counted(&gpu, &[2])).is_err());
    // Of f16, where neither the number nor its inverse can be one.
    let half = |value: f32| Tensor::full(&gpu, &[], value)?.to_dtype(DType::F16);
    let value = |x: Result<Tensor>| x?.to_dtype(DType::F32)?.item();
    assert_eq!(value(half(60000.0)? / 1e5)?, ::half::f16::from_f32(0.6).to_f32());
    assert_eq!(value(half(1e-4)? / 1e-8)?, 10_000.0);
    assert_eq!(value(1e6 / half(1000.0)?)?, 1000.0);
    // d(a/b)/db where dy · a overflows.
    let (a, b) = (half(1000.0)?, half(10.0)?.tracked());
    let gradients = a.div(&b)?.mul(&half(1000.0)?)?.backward()?;
    assert_eq!(value(Ok(gradients.get(&b).unwrap().clone()))?, -10_000.0);
    // More elements than f16 counts share the gradient of their maximum.
    let many = Tensor::zeros(&gpu, &[70_000])?.to_dtype(DType::F16)?.tracked();
    let share = many.max_all()?.backward()?.get(&many).unwrap().to_dtype(DType::F32)?.to_vec()?;
    assert!(share.iter().all(|share| (share - 1.0 / 70_000.0).abs() < 1e-7), "{}", share[0]);
    Ok(())
}
