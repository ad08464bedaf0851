//! A pass over the table with special values: NaN, infinities, zeros, subnormal, tiny and huge numbers.
//!
//! What is promised: forward and backward give what f64 gives, rounded to f32, with PyTorch's conventions where
//! mathematics has none. A result that f32 cannot hold is infinite; one below f32's least normal number may be 0, and a
//! subnormal input may be taken for 0 ([`LEAST`]). Ops of one operand keep their relative accuracy over the whole range.
//! Of other ops, NaN reaches exactly what depends on it, and finite values are as accurate as the magnitudes that an
//! output adds up allow.

use wgrad_autograd::{Gpu, Tensor};
use wgrad_testkit::Array;
use wgrad_testkit::gradient::numeric_gradient;
use wgrad_testkit::sample::Sampler;

use super::{ATOL, RTOL, Row};

/// f32's least normal number.
const LEAST: f64 = 1.1754944e-38;

const INF: f64 = f64::INFINITY;

/// Each of these is given to every input of every op.
pub const SPECIALS: [f64; 13] =
    [f64::NAN, INF, -INF, 0.0, -0.0, 1e-40, -1e-40, 1e-8, -1e-8, 1e4, -1e4, 3e38, -3e38];

/// Values between them, where a naive formula loses its digits.
const SWEEP: [f64; 32] = [
    1e-30, 1e-20, 1e-12, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.28, 0.3, 0.4, 0.42, 0.499, 0.51, 0.62, 0.63,
    0.9, 0.999, 1.001, 1.4, 1.42, 2.0, 3.0, 5.0, 9.0, 10.5, 15.0, 17.0, 50.0, 80.0, 88.0,
];

/// Inputs with more elements than this in all are not gone through, and their gradients by differences only up to these.
const LARGEST: usize = 1250;
const LARGEST_DIFFERENCED: usize = 850;

/// The gradient of a row's one operand, `(x, dy) -> dx`, in f64.
pub type Derivative = Box<dyn Fn(f64, f64) -> f64>;

/// What a row says of special values.
#[derive(Default)]
pub struct Promise {
    /// Of an elementwise op of one operand: its gradient with PyTorch's conventions, and an absolute error of that which
    /// comes from working it out from the rounded output.
    pub derivative: Option<(Derivative, f64)>,
    /// A central difference across the special value means nothing.
    pub kinked: bool,
    /// A product with zeros around an image: where a weight or the upstream gradient is NaN, zero times NaN may be added to
    /// what doesn't see it, but stays within the filter.
    pub padded: bool,
    /// Finite values beyond this overflow on the way.
    pub largest: Option<f64>,
    /// The same operation on other inputs is gone through instead.
    pub elsewhere: bool,
}

fn f32_exact(value: f64) -> f64 {
    f64::from(value as f32)
}

/// Whether `got` is `want` rounded to f32, up to `error`.
pub fn agrees(got: f32, want: f64, error: f64) -> bool {
    let rounded = want as f32;
    if rounded.is_nan() {
        return got.is_nan();
    }
    let error = error + LEAST;
    if rounded.is_infinite() || got.is_infinite() {
        // Next to the largest number, an ulp decides.
        let near = want.abs() + error > f64::from(f32::MAX) && want.abs() - error < f64::from(f32::MAX);
        return got == rounded || (near && got.is_sign_positive() == rounded.is_sign_positive());
    }
    (f64::from(got) - want).abs() <= error
}

fn upload(gpu: &Gpu, x: &Array) -> Tensor {
    Tensor::from_slice(gpu, &x.to_f32(), &x.shape).unwrap()
}

impl Row {
    /// Runs the pass on every device and returns what is wrong, the first few.
    pub fn check_specials(&self, gpus: &[(&str, Gpu)]) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.promise.elsewhere {
            return wrong;
        }
        if self.promise.derivative.is_some() {
            gpus.iter().for_each(|(family, gpu)| self.sweep(family, gpu, &mut wrong));
            return wrong;
        }
        let sizes = |shapes: &[Vec<usize>]| shapes.iter().map(|s| s.iter().product::<usize>()).sum::<usize>();
        let count = gpus.iter().map(|(_, gpu)| self.count_of(gpu)).min().unwrap_or(0);
        let cases =
            self.cases.iter().take(count).filter(|shapes| sizes(shapes) <= LARGEST && sizes(shapes) > 1);
        for (case, shapes) in cases.take(3).enumerate() {
            let mut sampler = Sampler::new(case as u64 + 77);
            let inputs: Vec<Array> = shapes.iter().map(|shape| self.draw.draw(&mut sampler, shape)).collect();
            let differenced =
                self.differentiable && !self.promise.kinked && sizes(shapes) <= LARGEST_DIFFERENCED;
            for input in 0..inputs.len() {
                let at = sampler.labels(1, inputs[input].len())[0];
                for special in SPECIALS {
                    self.check_forward(gpus, &inputs, (input, at, special), &mut wrong);
                }
                // A corner of an image, which some outputs don't see.
                self.check_forward(gpus, &inputs, (input, 0, f64::NAN), &mut wrong);
                if differenced {
                    for at in [0, at] {
                        self.check_nan_gradient(gpus, &inputs, Some(input), at, &mut wrong);
                    }
                }
            }
            if differenced {
                self.check_nan_gradient(gpus, &inputs, None, 0, &mut wrong);
            }
        }
        wrong.truncate(5);
        wrong
    }

    /// An op of one operand over all special values and more, forward and backward.
    fn sweep(&self, family: &str, gpu: &Gpu, wrong: &mut Vec<String>) {
        let Some((derivative, atol)) = &self.promise.derivative else { return };
        let swept = SWEEP.iter().flat_map(|&v| [v, -v]);
        let values: Vec<f64> = SPECIALS.into_iter().chain(swept).map(f32_exact).collect();
        let x = Array::new(&[values.len()], values);
        let input = upload(gpu, &x).tracked();
        let y = (self.op)(std::slice::from_ref(&input)).unwrap();
        let got = y.to_vec().unwrap();
        let dy = Sampler::new(5).uniform(&x.shape, 0.5, 2.0);
        let dx = y.backward_from(&upload(gpu, &dy)).unwrap().take(&input).unwrap().to_vec().unwrap();
        for (i, &v) in x.data.iter().enumerate() {
            // A subnormal number may be flushed.
            let taken = if v != 0.0 && v.abs() < LEAST { vec![v, 0.0f64.copysign(v)] } else { vec![v] };
            let value = |v: f64| (self.reference)(&[Array::new(&[1], vec![v])]).data[0];
            let right = taken.iter().any(|&v| agrees(got[i], value(v), RTOL * value(v).abs()));
            if !right {
                wrong.push(format!("{} of {v:e} ({family}): {:e}, want {:e}", self.name, got[i], value(v)));
            }
            let signs = [got[i].is_sign_negative(), value(v).is_sign_negative()];
            if v == 0.0 && value(v) == 0.0 && signs[0] != signs[1] {
                wrong.push(format!("{} of {v:?} has the wrong sign ({family})", self.name));
            }
            let gradient = |v: f64| derivative(v, dy.data[i]);
            let right = taken.iter().any(|&v| agrees(dx[i], gradient(v), RTOL * gradient(v).abs() + atol));
            let want = gradient(v);
            if !right {
                wrong
                    .push(format!("{}, gradient at {v:e} ({family}): {:e}, want {want:e}", self.name, dx[i]));
            }
        }
    }

    fn check_forward(
        &self,
        gpus: &[(&str, Gpu)],
        inputs: &[Array],
        place: (usize, usize, f64),
        wrong: &mut Vec<String>,
    ) {
        let (input, at, special) = place;
        if special.is_finite() && self.promise.largest.is_some_and(|largest| special.abs() > largest) {
            return;
        }
        let mut inputs = inputs.to_vec();
        inputs[input].data[at] = f32_exact(special);
        let want = (self.reference)(&inputs);
        // What an output adds up, by which its error is judged.
        let magnitudes = (self.reference)(&inputs.iter().map(|x| x.map(f64::abs)).collect::<Vec<_>>());
        let is_weight = input == 1 && self.promise.padded;
        for (family, gpu) in gpus {
            let tensors: Vec<Tensor> = inputs.iter().map(|x| upload(gpu, x)).collect();
            let got = (self.op)(&tensors).unwrap_or_else(|error| panic!("{}: {error}", self.name));
            for (i, got) in got.to_vec().unwrap().into_iter().enumerate() {
                let magnitude = magnitudes.data[i].abs();
                let overflows =
                    !special.is_nan() && magnitude > f64::from(f32::MAX) / 8.0 && want.data[i].is_finite();
                if overflows || (is_weight && !special.is_finite() && !got.is_finite()) {
                    continue;
                }
                let scale = if magnitude.is_finite() {
                    magnitude.max(want.data[i].abs())
                } else {
                    want.data[i].abs()
                };
                if !agrees(got, want.data[i], ATOL + RTOL * scale) {
                    wrong.push(format!(
                        "{} {:?} ({family}) with {special:e} at {at} of input {input}: element {i} is {got:e}, want {:e}",
                        self.name, inputs[input].shape, want.data[i]
                    ));
                }
            }
        }
    }

    /// A NaN in one input, or in the upstream gradient, must reach the gradients that depend on it and no others. Which do
    /// is found by differences with two finite values in its place.
    fn check_nan_gradient(
        &self,
        gpus: &[(&str, Gpu)],
        inputs: &[Array],
        input: Option<usize>,
        at: usize,
        wrong: &mut Vec<String>,
    ) {
        let y = (self.reference)(inputs);
        let dy = Sampler::new(9).uniform(&y.shape, 0.5, 1.0);
        let with = |value: f64| {
            let (mut inputs, mut dy) = (inputs.to_vec(), dy.clone());
            match input {
                Some(input) => inputs[input].data[at] = value,
                None => dy.data[at] = value,
            }
            (inputs, dy)
        };
        let [a, b] = [-2.0, 3.0].map(|value| {
            let (inputs, dy) = with(value);
            numeric_gradient(&inputs, &dy, &self.reference)
        });
        let (inputs, dy) = with(f64::NAN);
        let place = input.map_or("upstream".to_owned(), |input| format!("input {input}"));
        for (family, gpu) in gpus {
            let tensors: Vec<Tensor> = inputs.iter().map(|x| upload(gpu, x).tracked()).collect();
            let gradients = (self.op)(&tensors).unwrap().backward_from(&upload(gpu, &dy)).unwrap();
            for (i, (a, b)) in a.iter().zip(&b).enumerate() {
                let got = gradients.get(&tensors[i]).unwrap().to_vec().unwrap();
                // Zero times NaN in the zeros around an image.
                let reaches_zeros = self.promise.padded && ((i == 1 && input.is_none()) || input == Some(1));
                for (j, got) in got.into_iter().enumerate() {
                    let depends = (a.data[j] - b.data[j]).abs() > 3e-8 * (a.data[j].abs() / 10.0).max(1.0);
                    let right = if depends {
                        got.is_nan()
                    } else {
                        reaches_zeros || agrees(got, a.data[j], ATOL + RTOL * a.data[j].abs().max(1.0))
                    };
                    if !right {
                        let want = if depends { "NaN".to_owned() } else { format!("{:e}", a.data[j]) };
                        wrong.push(format!(
                            "{} {:?} ({family}), NaN at {at} of {place}: element {j} of gradient {i} is {got:e}, want {want}",
                            self.name, inputs[i].shape
                        ));
                    }
                }
            }
        }
    }
}
