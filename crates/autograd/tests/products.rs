//! Products beyond the table of ops: second derivatives, fused epilogues, types, views and sizes of nothing.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use wgrad_autograd::device::{Family, wgpu};
use wgrad_autograd::{
    Activation, Conv2dOptions, ConvTranspose2dOptions, DType, Epilogue, Error, Gpu, MatmulOptions, Result,
    Tensor, f16, grad,
};
use wgrad_testkit::compare::assert_close;
use wgrad_testkit::{Array, sample::Sampler};

fn gpus() -> [Gpu; 2] {
    [Family::Cpu, Family::Gpu].map(|family| Gpu::builder().family(family).poison().quiet().build().unwrap())
}

fn random(gpu: &Gpu, sampler: &mut Sampler, shape: &[usize]) -> Tensor {
    Tensor::from_slice(gpu, &sampler.uniform(shape, -1.0, 1.0).to_f32(), shape).unwrap()
}

/// The dot product of a gradient with fixed directions, differentiated again, against central differences of the gradient.
fn check_second(
    name: &str,
    gpu: &Gpu,
    shapes: &[&[usize]],
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
) -> Result<()> {
    let mut sampler = Sampler::new(31);
    let values: Vec<Array> = shapes.iter().map(|shape| sampler.uniform(shape, -1.0, 1.0)).collect();
    let ways: Vec<Tensor> = shapes.iter().map(|shape| random(gpu, &mut sampler, shape)).collect();
    // Σ over inputs of gradient · way.
    let first = |x: &[Tensor]| -> Result<Tensor> {
        let loss = f(x)?.square()?.sum_all()?;
        let mut sum: Option<Tensor> = None;
        for (input, way) in x.iter().zip(&ways) {
            let [gradient] = grad(&loss, [input])?;
            let dot = gradient.mul(way)?.sum_all()?;
            sum = Some(match sum {
                Some(sum) => sum.add(&dot)?,
                None => dot,
            });
        }
        Ok(sum.unwrap())
    };
    let upload = |values: &[Array]| -> Vec<Tensor> {
        values.iter().map(|x| Tensor::from_slice(gpu, &x.to_f32(), &x.shape).unwrap().tracked()).collect()
    };
    let leaves = upload(&values);
    let second = first(&leaves)?.backward()?;
    let h = 0.02;
    for (input, leaf) in leaves.iter().enumerate() {
        let got = second.get(leaf).unwrap_or_else(|| panic!("{name}, input {input}")).to_vec()?;
        for at in [0, got.len() / 2, got.len() - 1] {
            let moved = |by: f64| -> Result<f64> {
                let mut values = values.clone();
                values[input].data[at] += by;
                Ok(f64::from(first(&upload(&values))?.item()?))
            };
            // Off by some h⁴.
            let want = (8.0 * (moved(h)? - moved(-h)?) - (moved(2.0 * h)? - moved(-2.0 * h)?)) / (12.0 * h);
            let error = (f64::from(got[at]) - want).abs();
            assert!(
                error <= 5e-3 * want.abs().max(1.0),
                "{name}, input {input}, {at}: {} for {want}",
                got[at]
            );
        }
    }
    Ok(())
}

#[test]
fn products_have_second_derivatives() -> Result<()> {
    let options = Conv2dOptions { stride: [2, 1], padding: [1, 1], ..Conv2dOptions::default() };
    let same = Conv2dOptions { padding: [1, 1], ..Conv2dOptions::default() };
    let transposed = ConvTranspose2dOptions { conv: options, output_padding: [1, 0] };
    for gpu in gpus() {
        let tanh = Epilogue { activation: Activation::Tanh, ..Epilogue::default() };
        check_second("matmul", &gpu, &[&[2, 3, 4], &[4, 5]], |x| x[0].matmul(&x[1])?.square())?;
        check_second("linear", &gpu, &[&[5, 4], &[3, 4], &[3]], |x| x[0].linear_with(&x[1], x.get(2), tanh))?;
        check_second("conv2d", &gpu, &[&[2, 2, 5, 4], &[3, 2, 3, 3], &[3]], |x| {
            x[0].conv2d_with(&x[1], x.get(2), options, tanh)
        })?;
        check_second("conv2d, 8 channels", &gpu, &[&[1, 8, 4, 8], &[8, 8, 3, 3]], |x| {
            x[0].conv2d(&x[1], None, same)?.tanh()
        })?;
        check_second("conv_transpose2d", &gpu, &[&[2, 3, 3, 4], &[3, 2, 3, 3], &[2]], |x| {
            x[0].conv_transpose2d(&x[1], x.get(2), transposed)?.tanh()
        })?;
        check_second("conv2d_weight", &gpu, &[&[2, 3, 3, 4], &[2, 2, 5, 4]], |x| {
            x[0].conv2d_weight(&x[1], &[3, 2, 3, 3], options, None)?.tanh()
        })?;
    }
    Ok(())
}

/// Without gradients every activation is stored by the product's own kernels, and gives what its op gives.
#[test]
fn every_activation_is_a_part_of_the_product() -> Result<()> {
    use Activation::{Gelu, None as Plain, Relu, Sigmoid, Silu, Tanh};
    let options = Conv2dOptions { padding: [1, 1], ..Conv2dOptions::default() };
    for gpu in gpus() {
        // A software adapter takes seconds for each variant of the `gpu` family's product.
        let is_slow = gpu.family() == Family::Gpu && gpu.info().device_type == wgpu::DeviceType::Cpu;
        let mut sampler = Sampler::new(32);
        let mut new = |shape: &[usize]| random(&gpu, &mut sampler, shape);
        let (x, w, bias, residual) = (new(&[33, 24]), new(&[40, 24]), new(&[40]), new(&[33, 40]));
        let image = (new(&[2, 8, 8, 8]), new(&[8, 8, 3, 3]), new(&[8]), new(&[2, 8, 8, 8]));
        let odd = (new(&[2, 3, 5, 7]), new(&[4, 3, 3, 3]), new(&[4]), new(&[2, 4, 5, 7]));
        for (i, activation) in [Plain, Relu, Gelu, Silu, Tanh, Sigmoid].into_iter().enumerate() {
            for with_residual in [false, true] {
                // Every other activation with a residual, and convolutions by those alone that no gradient is fused with.
                if is_slow && with_residual != (i % 2 == 1) {
                    continue;
                }
                let images = match activation {
                    _ if !is_slow => &[&image, &odd][..],
                    Gelu | Silu => &[&odd],
                    _ => &[],
                };
                let epilogue = |residual| {
                    let residual = if with_residual { Some(residual) } else { None };
                    Epilogue { activation, residual, ..Epilogue::default() }
                };
                let plain = |residual| Epilogue { activation: Plain, ..epilogue(residual) };
                let check = |name: &str, run: &dyn Fn(bool) -> Result<Tensor>| -> Result<()> {
                    gpu.submit()?;
                    let separate = activation.apply(&run(false)?)?.to_vec()?;
                    let launches = |fused| -> Result<usize> {
                        gpu.submit()?;
                        run(fused)?;
                        Ok(gpu.pending_commands().len())
                    };
                    assert_eq!(launches(true)?, launches(false)?, "{name}, {activation:?}");
                    let want = Array::from_f32(&[separate.len()], &separate);
                    assert_close(name, &run(true)?.to_vec()?, &want, 1e-6, 1e-6);
                    Ok(())
                };
                check("linear", &|fused| {
                    let end = if fused { epilogue(&residual) } else { plain(&residual) };
                    x.linear_with(&w, Some(&bias), end)
                })?;
                for (x, w, bias, residual) in images {
                    check("conv2d", &|fused| {
                        let end = if fused { epilogue(residual) } else { plain(residual) };
                        x.conv2d_with(w, Some(bias), options, end)
                    })?;
                }
            }
        }
    }
    Ok(())
}

/// `torch.nn.functional.conv_transpose2d` of small integers with every option, 2.15.
#[test]
fn transposed_convolutions_are_pytorchs() -> Result<()> {
    let whole = |n: usize, step: usize, modulus: usize, low: f32| -> Vec<f32> {
        (0..n).map(|i| (i * step % modulus) as f32 - low).collect()
    };
    for gpu in gpus() {
        let x = Tensor::from_slice(&gpu, &whole(24, 7, 11, 5.0), &[1, 4, 3, 2])?;
        let w = Tensor::from_slice(&gpu, &whole(72, 5, 7, 3.0), &[4, 3, 2, 3])?;
        let bias = Tensor::from_slice(&gpu, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], &[6])?;
        let conv = Conv2dOptions { stride: [2, 3], padding: [1, 0], dilation: [1, 2], groups: 2 };
        let options = ConvTranspose2dOptions { conv, output_padding: [1, 2] };
        let y = x.conv_transpose2d(&w, Some(&bias), options)?;
        assert_eq!(y.shape(), [1, 6, 5, 10]);
        let y = y.to_vec()?;
        assert_eq!(
            y[..20],
            [
                -2.0, 0.0, -7.0, -4.0, -5.0, 6.0, 0.0, 2.0, 0.0, 0.0, -6.0, 0.0, -8.0, -6.0, 4.0, 13.0, 0.0,
                -3.0, 0.0, 0.0
            ]
        );
        assert_eq!(
            y[280..],
            [
                18.0, 5.0, -1.0, -3.0, -6.0, -1.0, 5.0, 15.0, 5.0, 5.0, 10.0, 5.0, 26.0, 3.0, -14.0, -9.0,
                5.0, 21.0, 5.0, 5.0
            ]
        );
        assert!(
            x.conv_transpose2d(&w, None, ConvTranspose2dOptions { output_padding: [2, 0], conv }).is_err()
        );
    }
    Ok(())
}

/// Views are multiplied as they lie: nothing is copied.
#[test]
fn attention_copies_nothing() -> Result<()> {
    for gpu in gpus() {
        let mut sampler = Sampler::new(33);
        let qkv = random(&gpu, &mut sampler, &[2, 16, 3 * 4 * 8]);
        let head = |i: usize| -> Result<Tensor> {
            qkv.slice(2, i * 32, (i + 1) * 32)?.reshape(&[2, 16, 4, 8])?.permute(&[0, 2, 1, 3])
        };
        gpu.submit()?;
        let scores = head(0)?.matmul(&head(1)?.permute(&[0, 1, 3, 2])?)?;
        let y = scores.matmul(&head(2)?)?;
        let names: Vec<_> = gpu.pending_commands().into_iter().map(|command| command.name).collect();
        let own = |name: &str| ["gemm_", "pack_", "write"].iter().any(|own| name.starts_with(own));
        assert!(names.iter().all(|name| own(&name.to_string())), "{names:?}");
        let copied = head(0)?.contiguous()?.matmul(&head(1)?.permute(&[0, 1, 3, 2])?.contiguous()?)?;
        let want = copied.matmul(&head(2)?.contiguous()?)?.to_vec()?;
        assert_close("attention", &y.to_vec()?, &Array::from_f32(&[want.len()], &want), 1e-6, 1e-6);
    }
    Ok(())
}

#[test]
fn types_are_the_operands_or_asked_for() -> Result<()> {
    for gpu in gpus() {
        let half = |n: usize| Tensor::from_slice(&gpu, &vec![f16::from_f32(0.5); n * n], &[n, n]);
        let (x, single) = (half(4)?, Tensor::full(&gpu, &[4, 4], 0.5)?);
        assert_eq!((x.matmul(&x)?.dtype(), x.matmul(&x)?.to_vec()?), (DType::F16, vec![1.0; 16]));
        let asked = MatmulOptions { out_dtype: Some(DType::F32), ..Default::default() };
        assert_eq!(
            (x.matmul_with(&x, asked)?.dtype(), x.matmul_with(&x, asked)?.to_vec()?),
            (DType::F32, vec![1.0; 16])
        );
        // Gradients have the types of what they belong to, though operands and output differ.
        let leaf = x.tracked();
        let gradients = leaf.matmul_with(&x, asked)?.sum_all()?.backward()?;
        assert_eq!(gradients.get(&leaf).unwrap().dtype(), DType::F16);
        assert_eq!(gradients.get(&leaf).unwrap().to_vec()?, vec![2.0; 16]);
        let integers = Tensor::from_slice(&gpu, &[1i32; 16], &[4, 4])?;
        for refused in [
            x.matmul(&single),
            integers.matmul(&integers),
            x.linear(&single, None),
            x.reshape(&[1, 1, 4, 4])?.conv2d(&single.reshape(&[1, 1, 4, 4])?, None, Conv2dOptions::default()),
            x.matmul_with(&x, MatmulOptions { out_dtype: Some(DType::I32), ..Default::default() }),
            x.linear_with(&x, None, Epilogue { residual: Some(&single), ..Epilogue::default() }),
        ] {
            let error = refused.unwrap_err();
            assert!(matches!(error, Error::DType { .. }), "{error}");
        }
    }
    Ok(())
}

/// No rows, no terms, no images: as in PyTorch.
#[test]
fn products_of_nothing() -> Result<()> {
    for gpu in gpus() {
        let zeros = |shape: &[usize]| Tensor::zeros(&gpu, shape).map(|x| x.tracked());
        let bias = Tensor::from_slice(&gpu, &[1.0, -2.0], &[2])?.tracked();
        assert_eq!(zeros(&[0, 3])?.matmul(&zeros(&[3, 2])?)?.shape(), [0, 2]);
        let (x, w) = (zeros(&[2, 0])?, zeros(&[2, 0])?);
        let y = x.linear_with(&w, Some(&bias), Epilogue::relu())?;
        assert_eq!(y.to_vec()?, [1.0, 0.0, 1.0, 0.0]);
        assert_eq!(y.sum_all()?.backward()?.get(&bias).unwrap().to_vec()?, [2.0, 0.0]);
        let (x, w) = (zeros(&[0, 3, 4, 4])?, zeros(&[2, 3, 3, 3])?);
        let y = x.conv2d(&w, None, Conv2dOptions::default())?;
        assert_eq!(y.shape(), [0, 2, 2, 2]);
        let gradients = y.backward_from(&y.detach())?;
        assert_eq!(gradients.get(&w).unwrap().to_vec()?, vec![0.0; 54]);
        assert_eq!(gradients.get(&x).unwrap().shape(), [0, 3, 4, 4]);
    }
    Ok(())
}

/// Gradients of weights are written where they are wanted, without a copy.
#[test]
fn weight_gradients_are_written_in_place() -> Result<()> {
    for gpu in gpus() {
        let mut sampler = Sampler::new(34);
        let same = Conv2dOptions { padding: [1, 1], ..Conv2dOptions::default() };
        let x = random(&gpu, &mut sampler, &[2, 8, 8, 8]);
        let (w, v) = (
            random(&gpu, &mut sampler, &[8, 8, 3, 3]).tracked(),
            random(&gpu, &mut sampler, &[8, 3, 5, 5]).tracked(),
        );
        let matrix = random(&gpu, &mut sampler, &[10, 512]).tracked();
        let odd = random(&gpu, &mut sampler, &[2, 3, 8, 8]);
        let bias = random(&gpu, &mut sampler, &[8]).tracked();
        let wide = Conv2dOptions { padding: [2, 2], ..same };
        let loss = || -> Result<Tensor> {
            let y = x.conv2d(&w, Some(&bias), same)?.add(&odd.conv2d(&v, None, wide)?)?;
            y.reshape(&[2, 512])?.linear_with(&matrix, None, Epilogue::relu())?.sum_all()
        };
        let copies =
            || gpu.pending_commands().iter().filter(|c| c.name.to_string().contains("identity")).count();
        let y = loss()?;
        gpu.submit()?;
        let want = y.backward()?;
        let before = copies();
        let leaves = [&w, &v, &matrix, &bias];
        let homes: Vec<Tensor> =
            leaves.iter().map(|leaf| Tensor::zeros(&gpu, leaf.shape()).unwrap()).collect();
        let pairs: Vec<(&Tensor, &Tensor)> = leaves.into_iter().zip(&homes).collect();
        let y = loss()?;
        gpu.submit()?;
        y.backward_into(&pairs)?;
        assert_eq!(copies(), before, "{:?}", gpu.pending_commands());
        for (leaf, home) in pairs {
            assert_eq!(home.to_vec()?, want.get(leaf).unwrap().to_vec()?);
        }
    }
    Ok(())
}
