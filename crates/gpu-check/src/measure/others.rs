//! All that is no product: `batch_norm forward|backward N CHANNELS SIZE` (with ReLU), `softmax forward|backward ROWS COLS`,
//! `sum rows|columns|all ROWS COLS`, `relu N`, `gelu N`, `add N`, `add_row ROWS COLS`, `optimizer sgd|adam SIDE` (of four
//! matrices and their biases).

use wgrad::nn::{
    self, Adam, AdamOptions, Builder, Gradients, Linear, Mode, Optimizer, Parameters, Sequential, Sgd,
    SgdOptions,
};
use wgrad::{BatchNormOptions, Gpu, RunningStats, Tensor};
use wgrad_testkit::Array;
use wgrad_testkit::reference::{
    self,
    optim::{self, AdamParams, AdamState, SgdParams},
};

use super::check::compare;
use super::values::{Operand, all, pick, some};
use super::{Case, Name};
use crate::Result;

pub fn case<'a>(gpu: &'a Gpu, name: &Name<'_>) -> Result<Case<'a>> {
    match name.words.as_slice() {
        ["batch_norm", direction @ ("forward" | "backward")] => {
            batch_norm(gpu, *direction == "backward", name.sizes()?)
        }
        ["softmax", direction @ ("forward" | "backward")] => {
            softmax(gpu, *direction == "backward", name.sizes()?)
        }
        ["sum", "rows"] => sum(gpu, &[1], name.sizes()?),
        ["sum", "columns"] => sum(gpu, &[0], name.sizes()?),
        ["sum", "all"] => sum(gpu, &[0, 1], name.sizes()?),
        ["relu"] => unary(gpu, Tensor::relu, reference::relu, name.sizes()?),
        ["gelu"] => unary(gpu, Tensor::gelu, reference::gelu, name.sizes()?),
        ["add"] => {
            let [n] = name.sizes()?;
            add(gpu, [1, n], [1, n])
        }
        ["add_row"] => {
            let [rows, cols] = name.sizes()?;
            add(gpu, [rows, cols], [1, cols])
        }
        ["optimizer", kind @ ("sgd" | "adam")] => optimizer(gpu, kind, name.sizes()?),
        _ => Err(name.unknown()),
    }
}

type Unary = fn(&Tensor) -> wgrad::autograd::Result<Tensor>;

fn unary<'a>(gpu: &'a Gpu, op: Unary, reference: fn(&Array) -> Array, [n]: [usize; 1]) -> Result<Case<'a>> {
    let operand = Operand::new(1, &[n]);
    let x = operand.tensor(gpu)?;
    let again = x.clone();
    let case = Case::op(gpu, "f32", move || Ok(op(&x)?)).work(n, 8 * n);
    Ok(case.checked(move || {
        let few = if n <= 4096 { all(n) } else { some(n) };
        let got = pick(&op(&again)?.to_vec()?, &[n], &[&few]);
        compare("elementwise", &got, &reference(&operand.pick(&[&few])), 1)
    }))
}

fn add(gpu: &Gpu, a: [usize; 2], b: [usize; 2]) -> Result<Case<'_>> {
    let operands = [Operand::new(1, &a), Operand::new(2, &b)];
    let [x, y] = [operands[0].tensor(gpu)?, operands[1].tensor(gpu)?];
    let again = [x.clone(), y.clone()];
    let n = a[0] * a[1];
    let case = Case::op(gpu, "f32", move || Ok(x.add(&y)?)).work(n, 8 * n + 4 * b[0] * b[1]);
    Ok(case.checked(move || {
        let (rows, cols) = (some(a[0]), some(a[1]));
        let first: &[usize] = if b[0] == 1 { &[0] } else { &rows };
        let got = pick(&again[0].add(&again[1])?.to_vec()?, &a, &[&rows, &cols]);
        let want = reference::add(&operands[0].pick(&[&rows, &cols]), &operands[1].pick(&[first, &cols]));
        compare("add", &got, &want, 1)
    }))
}

fn sum<'a>(gpu: &'a Gpu, axes: &'static [usize], [rows, cols]: [usize; 2]) -> Result<Case<'a>> {
    let signed: Vec<isize> = axes.iter().map(|&d| d as isize).collect();
    let again_axes = signed.clone();
    let operand = Operand::new(1, &[rows, cols]);
    let x = operand.tensor(gpu)?;
    let again = x.clone();
    let case = Case::op(gpu, "f32", move || Ok(x.sum(&signed)?)).work(rows * cols, 4 * rows * cols);
    Ok(case.checked(move || {
        let kept = |axis: usize, len| if axes.contains(&axis) { all(len) } else { some(len) };
        let (some_rows, some_cols) = (kept(0, rows), kept(1, cols));
        let want = reference::sum(&operand.pick(&[&some_rows, &some_cols]), axes, false);
        let y = again.sum(&again_axes)?;
        let place: Vec<&[usize]> = match axes {
            [0] => vec![&some_cols],
            [1] => vec![&some_rows],
            _ => vec![],
        };
        compare("sum", &pick(&y.to_vec()?, y.shape(), &place), &want, rows * cols)
    }))
}

fn softmax(gpu: &Gpu, backward: bool, [rows, cols]: [usize; 2]) -> Result<Case<'_>> {
    let operands = [Operand::new(1, &[rows, cols]), Operand::new(2, &[rows, cols])];
    let (x, dy) = (operands[0].tensor(gpu)?.tracked(), operands[1].tensor(gpu)?);
    let (x2, dy2) = (x.clone(), dy.clone());
    let bytes = 4 * rows * cols * if backward { 3 } else { 2 };
    let case = if backward {
        Case::prepared(gpu, "f32", move || Ok(x.softmax()?), move |y: Tensor| Ok(y.backward_from(&dy)?))
    } else {
        Case::op(gpu, "f32", move || Ok(x.detach().softmax()?))
    };
    Ok(case.work(0, bytes).checked(move || {
        let (few, cols_all) = (some(rows), all(cols));
        let y = x2.softmax()?;
        let want = reference::softmax(&operands[0].pick(&[&few, &cols_all]));
        if !backward {
            return compare("softmax", &pick(&y.to_vec()?, &[rows, cols], &[&few, &cols_all]), &want, cols);
        }
        // dx = y (dy - Σ y dy), a row at a time.
        let dy = operands[1].pick(&[&few, &cols_all]);
        let dots = reference::sum(&reference::mul(&want, &dy), &[1], true);
        let want = reference::mul(&want, &reference::sub(&dy, &dots));
        let gradients = y.backward_from(&dy2)?;
        let Some(dx) = gradients.get(&x2) else { return Ok(f64::INFINITY) };
        compare("softmax, gradient", &pick(&dx.to_vec()?, &[rows, cols], &[&few, &cols_all]), &want, cols)
    }))
}

fn batch_norm(gpu: &Gpu, backward: bool, [n, channels, size]: [usize; 3]) -> Result<Case<'_>> {
    const OPTIONS: BatchNormOptions =
        BatchNormOptions { eps: 1e-5, momentum: 0.1, relu: true, max_pool: false };
    let shape = [n, channels, size, size];
    let operands = [Operand::new(1, &shape), Operand::new(2, &[channels]), Operand::new(3, &[channels])];
    let upstream = Operand::new(4, &shape);
    let [x, weight, bias] = [
        operands[0].tensor(gpu)?.tracked(),
        operands[1].tensor(gpu)?.tracked(),
        operands[2].tensor(gpu)?.tracked(),
    ];
    let dy = upstream.tensor(gpu)?;
    let zeros = || Tensor::zeros(gpu, &[channels]);
    let running = RunningStats { mean: zeros()?, var: zeros()?, batches: Tensor::zeros(gpu, &[])? };
    let (x2, dy2) = (x.clone(), dy.clone());
    let forward = move || Ok(x.batch_norm2d(&weight, &bias, &running, OPTIONS)?);
    let again = forward.clone();
    let bytes = 4 * n * channels * size * size * if backward { 3 } else { 2 };
    let case = if backward {
        Case::prepared(gpu, "f32", forward, move |y: Tensor| Ok(y.backward_from(&dy)?))
    } else {
        Case::op(gpu, "f32", forward).most(32)
    };
    Ok(case.work(0, bytes).checked(move || {
        let (few, images, side) = (some(channels), all(n), all(size));
        let place: [&[usize]; 4] = [&images, &few, &side, &side];
        let x = operands[0].pick(&place);
        let [weight, bias] = [1, 2].map(|i| operands[i].pick(&[&few]));
        let moments = reference::channel_moments(&x);
        let count = n * size * size;
        let y = again()?;
        if !backward {
            let want = reference::relu(&reference::batch_norm2d(&x, &weight, &bias, &moments, 1e-5));
            return compare("batch_norm", &pick(&y.to_vec()?, &shape, &place), &want, count);
        }
        let gradients = y.backward_from(&dy2)?;
        let Some(dx) = gradients.get(&x2) else { return Ok(f64::INFINITY) };
        let want = norm_gradient(&x, &weight, &bias, &moments, &upstream.pick(&place));
        compare("batch_norm, gradient", &pick(&dx.to_vec()?, &shape, &place), &want, count)
    }))
}

/// dx of ReLU behind batch norm: with g the gradient behind the mask and n the normalised x, weight / σ (g - mean(g) - n mean(g n)).
fn norm_gradient(x: &Array, weight: &Array, bias: &Array, moments: &[Array; 2], dy: &Array) -> Array {
    use reference::{mean, mul, reshape, sub};
    let channels = weight.len();
    let ones = Array::full(&[channels], 1.0);
    let zeros = Array::zeros(&[channels]);
    let normalised = reference::batch_norm2d(x, &ones, &zeros, moments, 1e-5);
    let y = reference::batch_norm2d(x, weight, bias, moments, 1e-5);
    let g = mul(dy, &y.map(|v| f64::from(v > 0.0)));
    let of_channel = |t: &Array| mean(t, &[0, 2, 3], true);
    let centred = sub(&sub(&g, &of_channel(&g)), &mul(&normalised, &of_channel(&mul(&g, &normalised))));
    let scale = mul(weight, &moments[1].map(|var| (var + 1e-5).sqrt().recip()));
    mul(&centred, &reshape(&scale, &[1, channels, 1, 1]))
}

/// Four linear layers' parameters, gradients of them, and an optimizer.
fn subject(gpu: &Gpu, kind: &str, side: usize) -> Result<(Parameters, Gradients, Box<dyn Optimizer>)> {
    let make =
        |b: &Builder| (0..4).fold(Sequential::new(b), |model, _| model.with(|b| Linear::new(b, side, side)));
    let (model, parameters) = nn::build(gpu, 0, make)?;
    let optimizer: Box<dyn Optimizer> = match kind {
        "adam" => Box::new(Adam::new(&parameters, AdamOptions::default())?),
        _ => Box::new(Sgd::new(&parameters, SgdOptions { lr: 0.01, momentum: 0.9, ..Default::default() })?),
    };
    let x = Operand::new(1, &[4, side]).tensor(gpu)?;
    let gradients = parameters.gradients(&model.forward(&x, Mode::Train)?.square()?.sum(&[0, 1])?)?;
    Ok((parameters, gradients, optimizer))
}

fn optimizer<'a>(gpu: &'a Gpu, kind: &str, [side]: [usize; 1]) -> Result<Case<'a>> {
    let kind = kind.to_owned();
    let (_, gradients, optimizer) = subject(gpu, &kind, side)?;
    let optimizer = std::cell::RefCell::new(optimizer);
    // Parameters, gradients and moments are read, and all but the gradients written.
    let bytes = 4 * 4 * (side * side + side) * if kind == "adam" { 7 } else { 5 };
    let run = move || Ok(optimizer.borrow_mut().step(&gradients)?);
    Ok(Case::op(gpu, "f32", run).work(0, bytes).checked(move || check_optimizer(gpu, &kind, side)))
}

/// Three steps of one gradient, some parameters of each tensor.
fn check_optimizer(gpu: &Gpu, kind: &str, side: usize) -> Result<f64> {
    let (parameters, gradients, mut optimizer) = subject(gpu, kind, side)?;
    let read = |t: &Tensor| -> Result<Vec<f64>> { Ok(t.to_vec()?.into_iter().map(f64::from).collect()) };
    let before = parameters.entries().iter().map(|e| read(&e.tensor)).collect::<Result<Vec<_>>>()?;
    for _ in 0..3 {
        optimizer.step(&gradients)?;
    }
    let mut largest = 0.0;
    for (entry, mut want) in parameters.entries().iter().zip(before) {
        let Some(gradient) = gradients.get(&entry.name) else { return Ok(f64::INFINITY) };
        let gradient = read(&gradient)?;
        let mut velocity = vec![0.0; want.len()];
        let mut state = AdamState::new(want.len());
        for _ in 0..3 {
            match kind {
                "adam" => {
                    let settings = AdamParams { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0 };
                    optim::adam(&mut want, &gradient, &mut state, &settings);
                }
                _ => {
                    let settings = SgdParams { lr: 0.01, momentum: 0.9, nesterov: false, weight_decay: 0.0 };
                    optim::sgd(&mut want, &gradient, &mut velocity, &settings);
                }
            }
        }
        let want = Array::new(entry.tensor.shape(), want);
        let got = Array::from_f32(entry.tensor.shape(), &entry.tensor.to_vec()?);
        largest = f64::max(largest, compare("optimizer", &got, &want, 1)?);
    }
    Ok(largest)
}
