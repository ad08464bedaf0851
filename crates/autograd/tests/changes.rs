//! Values that change between the forward and the backward pass: a gradient is that of the forward pass, or an error.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use wgrad_autograd::device::View;
use wgrad_autograd::device::shaders::{File, Kernel};
use wgrad_autograd::{
    BatchNormOptions, Conv2dOptions, Error, Gpu, Op, Pool2dOptions, Result, RunningStats, Tensor, concat,
};

fn gpu() -> Gpu {
    Gpu::builder().poison().quiet().build().unwrap()
}

fn tensor(gpu: &Gpu, values: &[f32]) -> Tensor {
    Tensor::from_slice(gpu, values, &[values.len()]).unwrap()
}

/// The op and the tensor that the error names.
fn changed(result: Result<wgrad_autograd::Gradients>) -> (&'static str, String) {
    match result {
        Err(Error::Changed { op, tensor }) => (op, tensor),
        other => panic!("{other:?}"),
    }
}

type Write = fn(&Gpu, &View);

/// As an optimizer's step, reads and writes what it binds.
static WRITES: File = File::new(
    "writes",
    "@group(0) @binding(0) var<storage, read_write> w: array<f32>;
     @compute @workgroup_size(1) fn main() { w[0] = w[0] - 2.0; }",
);

/// Every way in which this crate's users change a tensor's values.
fn writers() -> Vec<(&'static str, Write)> {
    fn launch(gpu: &Gpu, view: &View) {
        let launch = gpu.launch(Kernel::new(&WRITES, "main")).bind("w", view.clone());
        launch.threads(1).enqueue().unwrap();
    }
    vec![
        ("write", |gpu, view| gpu.write(view, &[2.0f32]).unwrap()),
        ("large write", |gpu, view| {
            // Larger than what is staged, from the start of the buffer on.
            let whole = view.buffer.whole();
            gpu.write(&whole, &vec![2.0f32; (whole.size / 4) as usize]).unwrap();
        }),
        ("clear", |gpu, view| gpu.clear(view).unwrap()),
        ("copy", |gpu, view| {
            gpu.copy(&gpu.upload(&[2.0f32]).unwrap().view(0, 4), &view.buffer.view(view.offset, 4)).unwrap();
        }),
        ("launch", launch),
    ]
}

#[test]
fn what_an_op_kept_and_was_changed_is_named_whoever_changed_it() -> Result<()> {
    let gpu = gpu();
    for (name, write) in writers() {
        for submitted in [false, true] {
            let buffer = gpu.buffer(2 << 20)?;
            gpu.write(&buffer.view(256, 4), &[3.0f32])?;
            let w = Tensor::from_buffer(&gpu, &buffer, 256, &[1])?.tracked();
            let y = w.square()?;
            if submitted {
                gpu.submit()?;
            }
            write(&gpu, &w.bind());
            assert_eq!(changed(y.backward()), ("square", "a tensor of 16 bytes".to_owned()), "{name}");
            w.bind().set_name("fc.weight");
            let y = w.mul(&w)?;
            write(&gpu, &w.bind());
            let error = y.backward().unwrap_err().to_string();
            assert!(
                error.contains("fc.weight") && error.contains("mul") && error.contains("again"),
                "{error}"
            );
            // What it says to do helps.
            let gradients = w.square()?.backward()?;
            assert_eq!(gradients.get(&w).unwrap().item()?, 2.0 * w.item()?, "{name}");
        }
    }
    Ok(())
}

/// Ops whose gradient needs no value of the forward pass, and those that keep their output alone: their inputs may change.
#[test]
fn what_no_op_kept_may_change() -> Result<()> {
    let gpu = gpu();
    type Apply = fn(&Tensor) -> Result<Tensor>;
    let ops: Vec<(&str, Apply)> = vec![
        ("add", |x| x.add(x)),
        ("sub", |x| x.sub(&x.detach())),
        ("neg", Tensor::neg),
        ("affine", |x| x.mul_add_scalar(3.0, 1.0)),
        ("sum", |x| x.sum(&[1])),
        ("sum_all", Tensor::sum_all),
        ("mean", |x| x.mean(&[0])),
        ("reshape", |x| x.reshape(&[4])),
        ("flatten", |x| x.flatten(0)),
        ("permute", |x| x.permute(&[1, 0])),
        ("slice", |x| x.slice(0, 1, 2)),
        ("broadcast_to", |x| x.broadcast_to(&[3, 2, 2])),
        ("concat", |x| concat(&[x, x], 0)),
        ("dropout", |x| x.dropout(0.5, 1, 2)),
        ("exp", Tensor::exp),
        ("sqrt", Tensor::sqrt),
        ("relu", Tensor::relu),
        ("sigmoid", Tensor::sigmoid),
        ("tanh", Tensor::tanh),
        ("softmax", Tensor::softmax),
        ("log_softmax", Tensor::log_softmax),
        ("max_pool2d", |x| x.reshape(&[1, 1, 2, 2])?.max_pool2d(Pool2dOptions::square(2))),
        ("avg_pool2d", |x| x.reshape(&[1, 1, 2, 2])?.avg_pool2d(Pool2dOptions::square(2))),
        ("mul by a constant", |x| x.mul(&Tensor::full(x.gpu(), &[2, 2], 3.0)?)),
        ("matmul by a constant", |x| x.matmul(&Tensor::full(x.gpu(), &[2, 2], 3.0)?)),
    ];
    for (name, op) in ops {
        let gradient = |change: bool| -> Result<Vec<f32>> {
            let x = Tensor::from_slice(&gpu, &[1.0, 2.0, 3.0, 4.0], &[2, 2])?.tracked();
            let y = op(&x)?;
            let dy: Vec<f32> = (1..=y.numel()).map(|i| i as f32).collect();
            if change {
                gpu.write(&x.bind(), &[-7.0f32; 4])?;
            }
            // Younger than the graph, as the caller likes it.
            let dy = Tensor::from_slice(&gpu, &dy, y.shape())?;
            y.backward_from(&dy)?.get(&x).unwrap().to_vec()
        };
        assert_eq!(gradient(true)?, gradient(false)?, "{name}");
    }
    Ok(())
}

/// Every op that keeps an input notices that it changed.
#[test]
fn every_op_notices_what_it_kept() -> Result<()> {
    let gpu = gpu();
    let run = |name: &'static str, shape: &[usize], op: &dyn Fn(&Tensor) -> Result<Tensor>| -> Result<()> {
        let n = shape.iter().product();
        let values: Vec<f32> = (0..n).map(|i| 0.25 + (i * 7 % 5) as f32).collect();
        let x = Tensor::from_slice(&gpu, &values, shape)?;
        x.bind().set_name("x");
        // The op's other operand wants the gradient too, so that x is needed for it.
        let y = op(&x.tracked())?;
        gpu.write(&x.bind(), &values[..1])?;
        let (op, tensor) = changed(y.backward_from(&Tensor::full(&gpu, y.shape(), 1.0)?));
        assert_eq!((op, tensor.as_str()), (name, "x"));
        Ok(())
    };
    let leaf = |shape: &[usize]| Tensor::full(&gpu, shape, 0.5).map(|t| t.tracked());
    let labels = Tensor::from_slice(&gpu, &[1, 0], &[2])?;
    run("log", &[2, 3], &|x| x.log())?;
    run("square", &[2, 3], &|x| x.square())?;
    run("abs", &[2, 3], &|x| x.abs())?;
    run("softplus", &[2, 3], &|x| x.softplus())?;
    run("gelu", &[2, 3], &|x| x.gelu())?;
    run("clamp", &[2, 3], &|x| x.clamp(0.0, 1.0))?;
    run("mul", &[2, 3], &|x| x.mul(&leaf(&[2, 3])?))?;
    run("div", &[2, 3], &|x| leaf(&[2, 3])?.div(x))?;
    run("max", &[2, 3], &|x| x.max(&[1]))?;
    run("matmul", &[2, 3], &|x| x.matmul(&leaf(&[3, 4])?))?;
    run("matmul", &[3, 4], &|x| leaf(&[2, 3])?.matmul(x))?;
    run("linear", &[2, 3], &|x| x.linear(&leaf(&[4, 3])?, None))?;
    run("linear", &[4, 3], &|x| leaf(&[2, 3])?.linear(x, None))?;
    run("cross_entropy", &[2, 3], &|x| x.cross_entropy(&labels, 0.0))?;
    for (input, weight) in [([2, 4, 8, 8], [4, 4, 3, 3]), ([2, 3, 7, 5], [2, 3, 2, 2])] {
        let options = Conv2dOptions::default();
        run("conv2d", &input, &|x| x.conv2d(&leaf(&weight)?, None, options))?;
        run("conv2d", &weight, &|w| leaf(&input)?.conv2d(w, None, options))?;
    }
    let norm = |x: &Tensor, w: &Tensor, b: &Tensor, relu: bool| {
        let [mean, var] = [0.0, 1.0].map(|value| Tensor::full(&gpu, &[3], value).unwrap());
        let running = RunningStats { mean, var, batches: Tensor::zeros(&gpu, &[])? };
        x.batch_norm2d(w, b, &running, BatchNormOptions { relu, ..Default::default() })
    };
    run("batch_norm2d", &[2, 3, 2, 2], &|x| norm(x, &leaf(&[3])?, &leaf(&[3])?, false))?;
    run("batch_norm2d", &[3], &|w| norm(&leaf(&[2, 3, 2, 2])?, w, &leaf(&[3])?, false))?;
    run("batch_norm2d", &[3], &|b| norm(&leaf(&[2, 3, 2, 2])?, &leaf(&[3])?, b, true))?;
    Ok(())
}

#[test]
fn labels_are_kept_too() -> Result<()> {
    let gpu = gpu();
    let labels = Tensor::from_slice(&gpu, &[0, 1], &[2])?;
    let x = Tensor::zeros(&gpu, &[2, 3])?.tracked();
    let loss = x.cross_entropy(&labels, 0.0)?;
    gpu.write(&labels.bind(), &[2u32, 2])?;
    assert_eq!(changed(loss.backward()).0, "cross_entropy");
    Ok(())
}

/// Only what an op kept counts, though all lies in one buffer, as a model's parameters do.
#[test]
fn neighbours_in_one_buffer_don_t_count() -> Result<()> {
    let gpu = gpu();
    let flat = Tensor::full(&gpu, &[192], 3.0)?;
    let at = |offset: u64| Tensor::from_buffer(&gpu, &flat.bind().buffer, offset, &[64]).map(|t| t.tracked());
    let (before, w, behind) = (at(0)?, at(256)?, at(512)?);
    let y = w.square()?.sum_all()?;
    gpu.clear(&before.bind())?;
    gpu.write(&behind.bind(), &[1.0f32; 64])?;
    assert_eq!(y.backward()?.get(&w).unwrap().to_vec()?, [6.0; 64]);
    // One value of it is enough, and so is another tensor over the same range or a part of it.
    let last = |t: &Tensor| t.bind().buffer.view(t.bind().offset + t.bind().size - 4, 4);
    let views = [w.reshape(&[8, 8])?, w.detach(), flat.clone(), at(256)?.reshape(&[2, 32])?];
    for (i, other) in views.iter().enumerate() {
        let y = w.square()?.sum_all()?;
        let view = if i == 2 { w.bind() } else { other.bind() };
        gpu.write(&last(&w), &[0.0f32])?;
        assert_eq!(changed(y.backward()).0, "square");
        let y = w.square()?.sum_all()?;
        gpu.clear(&view)?;
        assert_eq!(changed(y.backward()).0, "square");
        let z = other.tracked().square()?.sum_all()?;
        gpu.write(&last(&w), &[0.0f32])?;
        assert_eq!(changed(z.backward()).0, "square");
    }
    Ok(())
}

/// The gradient that a caller gives may be younger than any part of the graph, also where an op passes it on as it is.
#[test]
fn a_given_gradient_may_be_younger_than_the_graph() -> Result<()> {
    let gpu = gpu();
    let w = tensor(&gpu, &[3.0, -1.0]).tracked();
    let inner = w.square()?;
    let dy = tensor(&gpu, &[1.0, -0.0]);
    let y = inner.reshape(&[1, 2])?.add(&Tensor::zeros(&gpu, &[1, 2])?)?.reshape(&[2])?;
    for write in [false, true] {
        if write {
            gpu.write(&dy.bind(), &[2.0f32, 5.0])?;
        }
        let y = if write { w.square()?.reshape(&[1, 2])?.reshape(&[2])? } else { y.clone() };
        if write {
            gpu.write(&dy.bind(), &[10.0f32, 20.0])?;
        }
        let got = y.backward_from(&dy)?.get(&w).unwrap().to_vec()?;
        assert_eq!(got, if write { [60.0, -40.0] } else { [6.0, 0.0] });
    }
    // One that is a changed value of the forward pass as well does not hide the change.
    let y = w.square()?;
    gpu.write(&w.bind(), &[1.0f32, 1.0])?;
    assert_eq!(changed(y.backward_from(&w)).0, "square");
    Ok(())
}

/// Reads its tensor again in the backward pass, as any op of a user's own may.
struct Scale {
    by: Tensor,
}

impl Op for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(dy.mul(&self.by)?)])
    }
}

#[test]
fn an_op_of_a_user_s_own_is_checked_alike() -> Result<()> {
    let gpu = gpu();
    let by = tensor(&gpu, &[2.0, 4.0]);
    let x = tensor(&gpu, &[1.0, 1.0]).tracked();
    let scaled = |x: &Tensor| -> Result<Tensor> {
        Ok(x.mul(&by)?.detach().with_op(&[x], || Scale { by: by.clone() }))
    };
    // A tensor that lives as long as the program and is written before each forward pass.
    for step in 1..4 {
        gpu.write(&by.bind(), &[step as f32, 4.0])?;
        assert_eq!(scaled(&x)?.sum_all()?.backward()?.get(&x).unwrap().to_vec()?, [step as f32, 4.0]);
    }
    let y = scaled(&x)?.sum_all()?;
    gpu.write(&by.bind(), &[9.0f32])?;
    assert_eq!(changed(y.backward()).0, "scale");
    Ok(())
}

/// In evaluation batch norm keeps statistics of its own, so the estimates may move on; in training they are not read.
#[test]
fn running_estimates_may_move_on() -> Result<()> {
    let gpu = gpu();
    let options = BatchNormOptions::default();
    let (weight, bias) = (tensor(&gpu, &[2.0]).tracked(), tensor(&gpu, &[0.5]).tracked());
    let running = RunningStats {
        mean: tensor(&gpu, &[1.0]),
        var: tensor(&gpu, &[4.0]),
        batches: Tensor::zeros(&gpu, &[])?,
    };
    let values: Vec<f32> = (0..8).map(|i| i as f32).collect();
    let x = Tensor::from_slice(&gpu, &values, &[2, 1, 2, 2])?.tracked();
    let gradients = |y: Tensor| y.square()?.sum_all()?.backward()?.get(&x).unwrap().to_vec();
    for eval in [true, false] {
        let forward = || match eval {
            true => x.batch_norm2d_eval(&weight, &bias, &running, options),
            false => x.batch_norm2d(&weight, &bias, &running, options),
        };
        let want = gradients(forward()?)?;
        gpu.write(&running.mean.bind(), &[1.0f32])?;
        gpu.write(&running.var.bind(), &[4.0f32])?;
        let y = forward()?;
        x.batch_norm2d(&weight, &bias, &running, options)?;
        assert_eq!(gradients(y)?, want, "eval {eval}");
        gpu.write(&running.mean.bind(), &[1.0f32])?;
        gpu.write(&running.var.bind(), &[4.0f32])?;
    }
    // Evaluation leaves them as they are, so what another op kept of them has not changed; training moves them.
    let kept = |mean: &Tensor| x.mul(&mean.reshape(&[1, 1, 1, 1])?)?.sum_all();
    let y = kept(&running.mean)?;
    x.batch_norm2d_eval(&weight, &bias, &running, options)?;
    y.backward()?;
    let y = kept(&running.mean)?;
    x.batch_norm2d(&weight, &bias, &running, options)?;
    assert_eq!(changed(y.backward()).0, "mul");
    // The bias is read again for a ReLU's mask alone.
    let y = x.batch_norm2d(&weight, &bias, &running, options)?.sum_all()?;
    gpu.clear(&bias.bind())?;
    y.backward()?;
    Ok(())
}

/// Another thread's walk, and what is recorded behind this one's, are not checked.
#[test]
fn only_the_walk_itself_is_checked() -> Result<()> {
    let gpu = gpu();
    let w = tensor(&gpu, &[3.0]).tracked();
    let y = w.square()?;
    gpu.write(&w.bind(), &[2.0f32])?;
    assert!(y.backward().is_err());
    assert_eq!(w.square()?.item()?, 4.0);
    std::thread::scope(|s| s.spawn(|| assert_eq!(w.square().unwrap().item().unwrap(), 4.0)).join().unwrap());
    Ok(())
}

#[test]
fn a_store_knows_the_leaves_of_its_own_device_alone() -> Result<()> {
    let (one, other) = (gpu(), gpu());
    let leaves = |gpu: &Gpu| -> Vec<Tensor> { (1..5).map(|i| tensor(gpu, &[i as f32]).tracked()).collect() };
    let (mine, theirs) = (leaves(&one), leaves(&other));
    let mut gradients =
        mine.iter().try_fold(Tensor::zeros(&one, &[1])?, |sum, w| sum.add(&w.square()?))?.backward()?;
    assert_eq!(gradients.len(), 4);
    for leaf in &theirs {
        assert!(gradients.get(leaf).is_none() && gradients.take(leaf).is_none());
    }
    for (i, leaf) in mine.iter().enumerate() {
        assert_eq!(gradients.take(leaf).unwrap().item()?, 2.0 * (i + 1) as f32);
    }
    let error = mine[0].mul(&theirs[0]).unwrap_err();
    assert!(matches!(error, Error::Device(wgrad_autograd::device::Error::Launch { .. })), "{error}");
    assert!(error.to_string().contains("another Gpu"), "{error}");
    Ok(())
}
