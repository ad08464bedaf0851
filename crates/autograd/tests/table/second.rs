//! Second derivatives of the rows of the table: a row has one, or states the ops that have none.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use wgrad_autograd::{Error, Gpu, Gradients, Result, Tensor, grad};
use wgrad_testkit::{Array, sample::Sampler};

use super::{ATOL, FAILED_ROW, Gradient, Row, message};

/// The step of the differences: two of them stay within the margin that [`super::Draw`] keeps from kinks.
const STEP: f64 = 2e-4;

/// The smallest case with more elements than this is checked: with fewer, there is next to nothing to get wrong.
const FEWEST: usize = 8;

/// The loss Σ w · f², whose gradient is differentiated along v. Its square has a curvature where f has none, so the second walk
/// passes through the gradient of a linear op too.
struct Second {
    name: String,
    inputs: Vec<Array>,
    w: Array,
    v: Vec<Array>,
}

fn upload(gpu: &Gpu, x: &Array) -> Result<Tensor> {
    Tensor::from_slice(gpu, &x.to_f32(), &x.shape)
}

impl Row {
    /// States that a walk back through this row's gradient ends at one of these ops, at each of them in some case.
    pub(super) fn without_second(mut self, ops: &'static [&'static str]) -> Self {
        self.without_second = ops;
        self
    }

    /// Checks the second derivative, or that every case says which op has none. Gives what went wrong.
    pub fn second_failure(&self, gpu: &Gpu) -> Option<String> {
        let check = || match self.without_second {
            [] => self.check_second(gpu),
            ops => self.check_missing(gpu, ops),
        };
        let checked = catch_unwind(AssertUnwindSafe(|| {
            if self.differentiable {
                check()
            }
        }));
        checked.err().map(|panic| message(&*panic)).inspect(|message| println!("{FAILED_ROW}{message}"))
    }

    /// Holds the gradient of the gradient against differences of the reference.
    fn check_second(&self, gpu: &Gpu) {
        let len = |shapes: &&Vec<Vec<usize>>| -> usize {
            shapes.iter().map(|shape| shape.iter().product::<usize>()).sum()
        };
        let cases = &self.cases[..self.count_of(gpu)];
        let some = cases.iter().filter(|shapes| len(shapes) > FEWEST).min_by_key(len);
        let Some(shapes) = some.or(cases.first()) else { return };
        let second = self.second(shapes);
        let (leaves, walked) = self.walk(gpu, &second);
        let gradients = walked.unwrap_or_else(|error| panic!("{}: {error}", second.name));
        let mut sampler = Sampler::new(leaves.len() as u64);
        for (i, leaf) in leaves.iter().enumerate() {
            let (want, size) = self.mixed(&second, i, &mut sampler);
            let atol = size.max(1.0) * ATOL.max(6e-8 * (self.terms)(&second.inputs) as f64);
            let got = gradients.get(leaf).map_or_else(|| vec![0.0; leaf.numel()], |x| x.to_vec().unwrap());
            want.check(&format!("{}, second derivative by input {i}", second.name), &got, 1.0, atol);
        }
    }

    /// Holds the ops at which the walks of all cases end against those stated.
    fn check_missing(&self, gpu: &Gpu, ops: &[&str]) {
        let end = |shapes: &Vec<Vec<usize>>| {
            let second = self.second(shapes);
            match self.walk(gpu, &second).1 {
                Err(Error::NoSecondDerivative { op }) => op,
                Err(error) => panic!("{}: {error}", second.name),
                Ok(_) => panic!("{}: there is a second derivative, and the row states none", second.name),
            }
        };
        let ends: BTreeSet<&str> = self.cases.iter().take(self.count_of(gpu)).map(end).collect();
        assert_eq!(ends, ops.iter().copied().collect(), "{}: where second derivatives end", self.name);
    }

    fn second(&self, shapes: &[Vec<usize>]) -> Second {
        let seed = self.name.bytes().fold(7, |seed: u64, byte| seed.wrapping_mul(31) + u64::from(byte));
        let mut sampler = Sampler::new(seed);
        let inputs: Vec<Array> = shapes.iter().map(|shape| self.draw.draw(&mut sampler, shape)).collect();
        let w = sampler.uniform(&(self.reference)(&inputs).shape, 0.5, 1.5);
        let v = shapes.iter().map(|shape| sampler.uniform(shape, -1.0, 1.0)).collect();
        Second { name: format!("{} {shapes:?}", self.name), inputs, w, v }
    }

    /// The inputs, and the gradients of the loss's derivative along v, which is recorded.
    fn walk(&self, gpu: &Gpu, second: &Second) -> (Vec<Tensor>, Result<Gradients>) {
        let leaves: Vec<Tensor> = second.inputs.iter().map(|x| upload(gpu, x).unwrap().tracked()).collect();
        let walk = || {
            let loss = (self.op)(&leaves)?.square()?.mul(&upload(gpu, &second.w)?)?.sum_all()?;
            let mut along = Tensor::zeros(gpu, &[])?;
            for (x, v) in leaves.iter().zip(&second.v) {
                let [dx] = grad(&loss, [x])?;
                along = along.add(&dx.mul(&upload(gpu, v)?)?.sum_all()?)?;
            }
            along.backward()
        };
        let walked = walk();
        (leaves, walked)
    }

    /// The reference's derivatives of that by some elements of an input and along a direction, and their size.
    fn mixed(&self, second: &Second, input: usize, sampler: &mut Sampler) -> (Gradient, f64) {
        let at = |direction: &[(usize, f64)], by: f64, along: f64| -> Array {
            let moved = |(x, v): (&Array, &Array)| {
                let data = x.data.iter().zip(&v.data).map(|(x, v)| x + along * v).collect();
                Array::new(&x.shape, data)
            };
            let mut moved: Vec<Array> = second.inputs.iter().zip(&second.v).map(moved).collect();
            direction.iter().for_each(|(at, step)| moved[input].data[*at] += by * step);
            (self.reference)(&moved)
        };
        let derivative = |direction: &[(usize, f64)]| -> f64 {
            let corners = [(STEP, STEP), (STEP, -STEP), (-STEP, STEP), (-STEP, -STEP)];
            let [a, b, c, d] = corners.map(|(by, along)| at(direction, by, along));
            // Element by element, so that what does not change cancels exactly.
            let square = |y: &Array, i: usize| y.data[i] * y.data[i];
            let term = |i: usize| square(&a, i) - square(&b, i) - (square(&c, i) - square(&d, i));
            second.w.data.iter().enumerate().map(|(i, w)| w * term(i)).sum::<f64>() / (4.0 * STEP * STEP)
        };
        let x = &second.inputs[input];
        let direction = sampler.uniform(&x.shape, -1.0, 1.0);
        let some = sampler.labels(6, x.len()).into_iter().chain([0, x.len() - 1]);
        let elements: Vec<(usize, f64)> = some.map(|at| (at, derivative(&[(at, 1.0)]))).collect();
        let size = elements.iter().fold(0.0, |size, (_, want)| f64::max(size, want.abs()));
        let all: Vec<(usize, f64)> = direction.data.iter().copied().enumerate().collect();
        (Gradient::Part { elements, derivative: derivative(&all), direction }, size)
    }
}

/// A row without a second derivative that doesn't say so fails, and so does one that says so wrongly, and a wrong derivative.
#[test]
fn a_row_cannot_be_neither() {
    use super::{UNIT, row};
    use wgrad_testkit::reference as r;
    let gpu = Gpu::builder().poison().quiet().build().unwrap();
    let case: &[&[&[usize]]] = &[&[&[3, 5]]];
    let prod = || row("prod", case, UNIT, |x| x[0].prod(&[1]), |x| r::prod(&x[0], &[1], false));
    let exp = |scale: f64| row("exp", case, UNIT, |x| x[0].exp(), move |x| r::exp(&x[0]).map(|y| scale * y));
    let failure = |row: Row| row.second_failure(&gpu).unwrap_or_default();
    assert_eq!([failure(prod().without_second(&["prod"])), failure(exp(1.0))], ["", ""]);
    assert!(failure(prod()).contains("the gradient of prod has no derivative of its own"));
    assert!(failure(prod().without_second(&["exp"])).contains("where second derivatives end"));
    assert!(failure(exp(1.0).without_second(&["exp"])).contains("there is a second derivative"));
    assert!(failure(exp(1.001)).contains("second derivative by input 0"));
}
