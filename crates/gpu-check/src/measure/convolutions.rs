//! 3 × 3 convolutions with padding 1 in their three directions: `conv2d forward|input|weight f32|f16 BATCH IN OUT SIZE`.

use wgrad::{Conv2dOptions, DType, Epilogue, Gpu, Tensor};
use wgrad_testkit::Array;
use wgrad_testkit::reference::{Conv2dParams, conv2d, permute};

use super::check::compare;
use super::values::{Operand, all, pick, some};
use super::{Case, Name};
use crate::Result;

const SAME: Conv2dOptions = Conv2dOptions { stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 };

/// The output's type, so that half-precision operands are held against their exact product.
const F32: Option<DType> = Some(DType::F32);

/// The operands: image, weight, and the gradient of the result.
struct Operands {
    x: Operand,
    w: Operand,
    dy: Operand,
}

pub fn case<'a>(gpu: &'a Gpu, name: &Name<'_>) -> Result<Case<'a>> {
    let [batch, inputs, outputs, size] = name.sizes()?;
    let operands = Operands {
        x: Operand::new(1, &[batch, inputs, size, size]),
        w: Operand::new(2, &[outputs, inputs, 3, 3]),
        dy: Operand::new(3, &[batch, outputs, size, size]),
    };
    let flops = 2 * batch * inputs * outputs * 9 * size * size;
    let elements: usize =
        [&operands.x, &operands.w, &operands.dy].map(|o| o.shape.iter().product::<usize>()).iter().sum();
    let direction = name.words.get(1).copied().unwrap_or_default();
    match name.words.get(2).copied() {
        Some("f32") => Ok(single(gpu, name, direction, operands)?.work(flops, 4 * elements)),
        Some("f16") => Ok(halves(gpu, name, direction, operands)?.work(flops, 2 * elements)),
        _ => Err(name.unknown()),
    }
}

/// Gradients in f32 are those of a graph, which is made outside of the time.
fn single<'a>(gpu: &'a Gpu, name: &Name<'_>, direction: &str, operands: Operands) -> Result<Case<'a>> {
    let (x, w) = (operands.x.tensor(gpu)?, operands.w.tensor(gpu)?);
    if direction == "forward" {
        let (x2, w2) = (x.clone(), w.clone());
        let case = Case::op(gpu, "f32", move || Ok(x.conv2d(&w, None, SAME)?)).most(32);
        return Ok(case.checked(move || forward(&operands, &x2.conv2d(&w2, None, SAME)?)));
    }
    let dy = operands.dy.tensor(gpu)?;
    let (x, w, leaf) = match direction {
        "input" => {
            let x = x.tracked();
            (x.clone(), w, x)
        }
        "weight" => {
            let w = w.tracked();
            (x, w.clone(), w)
        }
        _ => return Err(name.unknown()),
    };
    let (x2, w2, dy2) = (x.clone(), w.clone(), dy.clone());
    let prepare = move || Ok(x.conv2d(&w, None, SAME)?);
    let case = Case::prepared(gpu, "f32", prepare, move |y: Tensor| Ok(y.backward_from(&dy)?));
    let of_input = direction == "input";
    Ok(case.checked(move || {
        let gradients = x2.conv2d(&w2, None, SAME)?.backward_from(&dy2)?;
        let Some(gradient) = gradients.get(&leaf) else { return Ok(f64::INFINITY) };
        if of_input { input(&operands, gradient) } else { weight(&operands, gradient) }
    }))
}

fn halves<'a>(gpu: &'a Gpu, name: &Name<'_>, direction: &str, operands: Operands) -> Result<Case<'a>> {
    let compute: fn(&Operands, &Tensor, &Tensor) -> Result<Tensor> = match direction {
        "forward" => |_, x, w| {
            let epilogue = Epilogue { out_dtype: F32, ..Epilogue::default() };
            Ok(x.conv2d_with(w, None, SAME, epilogue)?)
        },
        "input" => |o, dy, w| Ok(dy.conv2d_input(w, &o.x.shape, SAME, F32)?),
        "weight" => |o, dy, x| Ok(dy.conv2d_weight(x, &o.w.shape, SAME, F32)?),
        _ => return Err(name.unknown()),
    };
    let compare = match direction {
        "forward" => forward,
        "input" => input,
        _ => weight,
    };
    let first = if direction == "forward" { &operands.x } else { &operands.dy }.half(gpu)?;
    let second = if direction == "weight" { &operands.x } else { &operands.w }.half(gpu)?;
    let shapes = Operands {
        x: Operand::new(1, &operands.x.shape),
        w: Operand::new(2, &operands.w.shape),
        dy: Operand::new(3, &operands.dy.shape),
    };
    let (a, b) = (first.clone(), second.clone());
    let case = Case::op(gpu, "f16", move || compute(&shapes, &first, &second)).most(32);
    Ok(case.checked(move || compare(&operands, &compute(&operands, &a, &b)?)))
}

fn params() -> Conv2dParams {
    Conv2dParams { padding: [1, 1], ..Conv2dParams::default() }
}

/// Some channels of some images.
fn forward(o: &Operands, y: &Tensor) -> Result<f64> {
    let [batch, outputs, size, _] = [0, 1, 2, 3].map(|axis| o.dy.shape[axis]);
    let inputs = o.x.shape[1];
    let (images, channels, side, taps) = (some(batch), some(outputs), all(size), all(3));
    let x = o.x.pick(&[&images, &all(inputs), &side, &side]);
    let w = o.w.pick(&[&channels, &all(inputs), &taps, &taps]);
    let got = pick(&y.to_vec()?, y.shape(), &[&images, &channels, &side, &side]);
    compare("conv2d", &got, &conv2d(&x, &w, None, &params()), 9 * inputs)
}

/// Some channels of some images: the gradient convolved with the weight turned around.
fn input(o: &Operands, dx: &Tensor) -> Result<f64> {
    let [batch, inputs, size, _] = [0, 1, 2, 3].map(|axis| o.x.shape[axis]);
    let outputs = o.w.shape[0];
    let (images, channels, side) = (some(batch), some(inputs), all(size));
    let dy = o.dy.pick(&[&images, &all(outputs), &side, &side]);
    let turned = [2, 1, 0];
    let w = permute(&o.w.pick(&[&all(outputs), &channels, &turned, &turned]), &[1, 0, 2, 3]);
    let got = pick(&dx.to_vec()?, dx.shape(), &[&images, &channels, &side, &side]);
    compare("input gradient", &got, &conv2d(&dy, &w, None, &params()), 9 * outputs)
}

/// Some pairs of channels: the image convolved with the gradient, over all images at once.
fn weight(o: &Operands, dw: &Tensor) -> Result<f64> {
    let [batch, inputs, size, _] = [0, 1, 2, 3].map(|axis| o.x.shape[axis]);
    let outputs = o.w.shape[0];
    let few = |len| -> Vec<usize> { if batch > 8 { vec![0, len - 1] } else { some(len) } };
    let (from, to, images, side, taps) = (few(inputs), few(outputs), all(batch), all(size), all(3));
    let x = permute(&o.x.pick(&[&images, &from, &side, &side]), &[1, 0, 2, 3]);
    let dy = permute(&o.dy.pick(&[&images, &to, &side, &side]), &[1, 0, 2, 3]);
    let want: Array = permute(&conv2d(&x, &dy, None, &params()), &[1, 0, 2, 3]);
    let got = pick(&dw.to_vec()?, dw.shape(), &[&to, &from, &taps, &taps]);
    compare("weight gradient", &got, &want, batch * size * size)
}
