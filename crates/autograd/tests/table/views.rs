//! The rows of the table once more, on inputs that are views, and on inputs of half precision.

use wgrad_autograd::device::Family;
use wgrad_autograd::{DType, Gpu, Tensor, f16};
use wgrad_testkit::{Array, compare::check_close};

use super::{Case, Draw, Row};

/// Elements before and behind a view along one axis.
const AROUND: usize = 3;

/// What an op in half precision rounds: its result, and what it is composed of up to three more times, each by 2⁻¹¹ of the
/// largest value at most.
const HALF: f64 = 4.0 / 2048.0;

/// `x` in the middle of NaN, its axes the other way round: the leaf, and the view of it that is `x`.
fn view_of(gpu: &Gpu, x: &Array) -> (Tensor, Tensor) {
    let mut around: Vec<usize> = x.shape.iter().rev().copied().collect();
    if around.is_empty() {
        around.push(1);
    }
    let len = around[0];
    around[0] += 2 * AROUND;
    let row: usize = around[1..].iter().product();
    let axes: Vec<usize> = (0..x.shape.len()).rev().collect();
    let turned = wgrad_testkit::reference::permute(x, &axes).to_f32();
    let pad = vec![f32::NAN; AROUND * row];
    let values = [&pad[..], &turned, &pad].concat();
    let leaf = Tensor::from_slice(gpu, &values, &around).unwrap().tracked();
    let view = seen(&leaf, len, &x.shape);
    (leaf, view)
}

/// The part of a leaf, or of its gradient, that is the view.
fn seen(leaf: &Tensor, len: usize, shape: &[usize]) -> Tensor {
    let part = leaf.slice(0, AROUND, AROUND + len).unwrap();
    let axes: Vec<isize> = (0..shape.len() as isize).rev().collect();
    if axes.is_empty() { part.reshape(&[]).unwrap() } else { part.permute(&axes).unwrap() }
}

impl Row {
    /// Every case on inputs that are views. Gives what went wrong.
    pub fn check_views(&self, family: &str, gpu: &Gpu) -> Vec<String> {
        self.each_case(gpu, |case| {
            let name = format!("{} on views ({family})", case.name);
            let (leaves, views): (Vec<Tensor>, Vec<Tensor>) =
                case.inputs.iter().map(|x| view_of(gpu, x)).unzip();
            let y = (self.op)(&views).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(y.shape(), case.y.shape, "{name}");
            check_close(&name, &y.to_vec().unwrap(), &case.y, super::RTOL, case.atol).unwrap();
            if !self.differentiable {
                return;
            }
            // The gradient that comes from above is a view too.
            let gradients = y.backward_from(&view_of(gpu, &case.dy).1.detach()).unwrap();
            for (i, (leaf, want)) in leaves.iter().zip(&case.gradients).enumerate() {
                let name = format!("{name}, gradient {i}");
                let whole = gradients.get(leaf).unwrap_or_else(|| panic!("{name} is missing"));
                let (len, values) = (leaf.shape()[0] - 2 * AROUND, whole.to_vec().unwrap());
                let row = AROUND * leaf.shape()[1..].iter().product::<usize>();
                let around = values[..row].iter().chain(&values[values.len() - row..]);
                assert!(around.clone().all(|&v| v == 0.0), "{name} leaves its view");
                let got = seen(whole, len, &case.inputs[i].shape).to_vec().unwrap();
                want.check(&name, &got, 1.0, case.atol);
            }
        })
    }

    /// Every case on inputs rounded to f16. Gives what went wrong.
    pub fn check_halves(&self, family: &str, gpu: &Gpu) -> Vec<String> {
        // Values that differ as f32 may be equal as f16.
        if !gpu.has_f16() || matches!(self.draw, Draw::Distinct) || self.without_halves {
            return Vec::new();
        }
        self.each_case(gpu, |case| {
            let name = format!("{} of f16 ({family})", case.name);
            let value = |v: f64| f16::from_f64(if self.whole_halves { (3.0 * v).round() } else { v });
            let halves = |x: &Array| x.data.iter().map(|&v| value(v)).collect::<Vec<_>>();
            let upload = |x: &Array| Tensor::from_slice(gpu, &halves(x), &x.shape).unwrap();
            let inputs: Vec<Tensor> = case.inputs.iter().map(|x| upload(x).tracked()).collect();
            let rounded: Vec<Array> = case.inputs.iter().map(|x| x.map(|v| value(v).to_f64())).collect();
            let want = (self.reference)(&rounded);
            let size = |x: &Array| x.data.iter().fold(1.0f64, |size, v| size.max(v.abs()));
            let y = (self.op)(&inputs).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!((y.shape(), y.dtype()), (&want.shape[..], DType::F16), "{name}");
            let atol = HALF * size(&want) + case.atol;
            check_close(&name, &y.to_vec().unwrap(), &want, super::RTOL, atol).unwrap();
            // From eight channels on the `cpu` family computes in f32 by Winograd's transforms, which leave whole numbers by a
            // rounding and so choose among equal maxima.
            let is_cpu = gpu.family() == Family::Cpu;
            let chooses = self.whole_halves && is_cpu && case.inputs[1].shape[1] >= 8;
            if !self.differentiable || chooses {
                return;
            }
            let gradients = y.backward_from(&upload(&case.dy)).unwrap();
            // As computed in f32 from the same values.
            let wide: Vec<Tensor> =
                inputs.iter().map(|x| x.detach().to_dtype(DType::F32).unwrap().tracked()).collect();
            let dy = upload(&case.dy).to_dtype(DType::F32).unwrap();
            let exact = (self.op)(&wide).unwrap().backward_from(&dy).unwrap();
            for (i, (half, wide)) in inputs.iter().zip(&wide).enumerate() {
                let name = format!("{name}, gradient {i}");
                let [got, want] = [gradients.get(half).unwrap(), exact.get(wide).unwrap()];
                assert_eq!(got.dtype(), DType::F16, "{name}");
                let want = want.to_vec().unwrap().into_iter().map(f64::from).collect();
                let want = Array::new(half.shape(), want);
                let atol = HALF * size(&want) * size(&case.y);
                check_close(&name, &got.to_vec().unwrap(), &want, super::RTOL, atol).unwrap();
            }
        })
    }

    /// Runs `check` on every case of the device, and gathers what it says when it fails.
    fn each_case(&self, gpu: &Gpu, check: impl Fn(&Case)) -> Vec<String> {
        let run = |case: Case| {
            let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&case)));
            checked.err().map(|panic| super::message(&*panic))
        };
        self.cases().take(self.count_of(gpu)).filter_map(run).collect()
    }
}
