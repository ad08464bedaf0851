//! The table of ops and the driver that runs a row of it: shared by the tests that need every op launched.
//!
//! A row is a name, the shapes and values of the inputs, the op, and its f64 reference. The driver compares the
//! forward with the reference, every gradient under a random upstream gradient with central differences of the
//! reference, and the gradients of a graph that uses each input twice. The buffers it works on are filled with
//! NaN beforehand.

#![allow(dead_code, reason = "each test program uses its own part")]

mod elementwise;
mod layout;
mod losses;
pub mod norms;
mod products;
mod reductions;
mod second;
pub mod specials;
mod views;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use wgrad_autograd::device::{Family, wgpu};
use wgrad_autograd::{Gpu, Result, Tensor};
use wgrad_testkit::compare::{assert_close, check_close};
use wgrad_testkit::gradient::{numeric_gradient, step};
use wgrad_testkit::{Array, sample::Sampler};

type Op = Box<dyn Fn(&[Tensor]) -> Result<Tensor>>;
type Reference = Box<dyn Fn(&[Array]) -> Array>;

/// Where the values of a row's inputs lie.
#[derive(Clone, Copy)]
pub enum Draw {
    Uniform(f64, f64),
    /// Away from the kinks, where a central difference means nothing.
    Away(f64, f64, &'static [f64]),
    /// All different, for ops that choose a winner.
    Distinct,
}

impl Draw {
    fn draw(self, sampler: &mut Sampler, shape: &[usize]) -> Array {
        match self {
            Self::Uniform(low, high) => sampler.uniform(shape, low, high),
            Self::Away(low, high, kinks) => sampler.away_from(shape, low, high, kinks, 1e-3),
            Self::Distinct => sampler.distinct(shape),
        }
    }
}

pub const UNIT: Draw = Draw::Uniform(-1.0, 1.0);

pub struct Row {
    pub name: String,
    /// The shapes of all inputs, for each case.
    cases: Vec<Vec<Vec<usize>>>,
    /// How many of them, from the first on, run on every device: the others are left out in the `gpu` family on a software adapter.
    everywhere: usize,
    draw: Draw,
    op: Op,
    reference: Reference,
    differentiable: bool,
    terms: fn(&[Array]) -> usize,
    promise: specials::Promise,
    without_halves: bool,
    whole_halves: bool,
    /// The ops that have no second derivative, and end a walk back through this row's gradient.
    without_second: &'static [&'static str],
}

/// What a line begins with that tells of a row's failure.
pub const FAILED_ROW: &str = "failed row: ";

/// What a panic says.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message").to_owned()
}

/// The relative tolerance everywhere, and the absolute one of short sums: some ulps of the functions that WGSL
/// leaves to the hardware.
const RTOL: f64 = 1e-4;
const ATOL: f64 = 1e-5;

pub fn row(
    name: impl Into<String>,
    cases: &[&[&[usize]]],
    draw: Draw,
    op: impl Fn(&[Tensor]) -> Result<Tensor> + 'static,
    reference: impl Fn(&[Array]) -> Array + 'static,
) -> Row {
    Row {
        name: name.into(),
        cases: owned(cases),
        everywhere: cases.len(),
        draw,
        op: Box::new(op),
        reference: Box::new(reference),
        differentiable: true,
        terms: |_| 1,
        promise: specials::Promise::default(),
        without_halves: false,
        whole_halves: false,
        without_second: &[],
    }
}

fn owned(cases: &[&[&[usize]]]) -> Vec<Vec<Vec<usize>>> {
    cases.iter().map(|shapes| shapes.iter().map(|shape| shape.to_vec()).collect()).collect()
}

impl Row {
    /// Adds cases that the `gpu` family is spared on a software adapter, where its kernels take seconds to compile: of code that
    /// other cases run there with other constants. GPUs and the `cpu` family run them.
    fn where_quick(mut self, cases: &[&[&[usize]]]) -> Self {
        self.cases.extend(owned(cases));
        self
    }

    /// Cases that a device of this family runs.
    fn count_of(&self, gpu: &Gpu) -> usize {
        let slow = gpu.family() == Family::Gpu && gpu.info().device_type == wgpu::DeviceType::Cpu;
        if slow { self.everywhere } else { self.cases.len() }
    }

    /// States the longest sum of products that the op or its gradient adds up, by the inputs. Terms of the order of
    /// 1 leave a rounding error that grows with their number: each addition rounds a partial sum of the order of √n
    /// by 6e-8 of it, and n of these errors add up at random. Up to 150 terms the default holds.
    fn terms(mut self, terms: fn(&[Array]) -> usize) -> Self {
        self.terms = terms;
        self
    }

    /// States that values of half precision are too far apart for this row.
    fn without_halves(mut self) -> Self {
        self.without_halves = true;
        self
    }

    /// States that values of half precision are to be whole numbers, which it holds exactly: rounding would choose other maxima.
    fn whole_halves(mut self) -> Self {
        self.whole_halves = true;
        self
    }

    fn without_gradient(mut self) -> Self {
        self.differentiable = false;
        self
    }

    /// States the gradient of an elementwise op of one operand, `(x, dy) -> dx`, for the pass over special values, and the
    /// absolute error that comes from working it out from the rounded output.
    fn derivative(mut self, derivative: impl Fn(f64, f64) -> f64 + 'static, atol: f64) -> Self {
        self.promise.derivative = Some((Box::new(derivative), atol));
        self
    }

    /// States that a central difference means nothing where an input is special, or that the op is flat in most places.
    fn kinked(mut self) -> Self {
        self.promise.kinked = true;
        self
    }

    /// States that the pass over special values goes through other rows of this op.
    fn with_specials_elsewhere(mut self) -> Self {
        self.promise.elsewhere = true;
        self
    }

    /// States that images are multiplied with zeros around them.
    fn padded(mut self) -> Self {
        self.promise.padded = true;
        self
    }

    /// States that finite values beyond `largest` overflow on the way.
    fn up_to(mut self, largest: f64) -> Self {
        self.promise.largest = Some(largest);
        self
    }
}

/// Axes as ops take them.
pub fn signed(axes: &[usize]) -> Vec<isize> {
    axes.iter().map(|&axis| axis as isize).collect()
}

/// What the names of the rows to run contain, one of these words: for work on an op. `None` for every row.
pub fn chosen() -> Option<String> {
    std::env::var("WGRAD_ROWS").ok()
}

/// Every row, or those chosen.
pub fn rows() -> Vec<Row> {
    let mut rows = elementwise::rows();
    rows.extend(products::rows());
    rows.extend(reductions::rows());
    rows.extend(layout::rows());
    rows.extend(losses::rows());
    rows.extend(norms::rows());
    if let Some(words) = chosen() {
        rows.retain(|row| words.split(',').any(|word| row.name.contains(word)));
    }
    rows
}

/// Held by each pass over the whole table, which has threads of its own: side by side, they would compile the same kernels twice.
static TABLE: Mutex<()> = Mutex::new(());

pub fn alone() -> MutexGuard<'static, ()> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A device for each way the ops can run, the `gpu` family's first.
pub fn gpus() -> Vec<(&'static str, Gpu)> {
    let poisoned = || Gpu::builder().poison().quiet();
    vec![
        // Cut launches are judged like whole ones, which "cpu" and every other test run.
        ("gpu", poisoned().family(Family::Gpu).cut().build().unwrap()),
        ("cpu", poisoned().family(Family::Cpu).build().unwrap()),
        // Without subgroups and with the smallest limits.
        ("cpu baseline", poisoned().family(Family::Cpu).baseline().cut().build().unwrap()),
        ("subgroups only", with_subgroups_only()),
    ]
}

/// Those of [`gpus`] that `WGRAD_DEVICES` names, with commas between them; all of them where it is not set. A run of some
/// is quick, and does not tell whether all kernels are launched.
pub fn chosen_gpus() -> Vec<(&'static str, Gpu)> {
    let mut gpus = gpus();
    if let Ok(names) = std::env::var("WGRAD_DEVICES") {
        gpus.retain(|(name, _)| names.split(',').any(|chosen| chosen == *name));
        assert!(!gpus.is_empty(), "WGRAD_DEVICES: {names:?} names no device of the table");
    }
    gpus
}

/// A device with subgroups but without 64-bit integers, as an application may lend it. On an adapter without
/// subgroups it is a plain one.
fn with_subgroups_only() -> Gpu {
    let gpu = Gpu::builder().quiet().build().unwrap();
    let (name, backend) = (gpu.info().name.clone(), gpu.info().backend);
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    descriptor.backends = backend.into();
    let instance = wgpu::Instance::new(descriptor);
    let adapters = pollster::block_on(instance.enumerate_adapters(backend.into()));
    let adapter = adapters.into_iter().find(|adapter| adapter.get_info().name == name).unwrap();
    let descriptor = wgpu::DeviceDescriptor {
        required_features: adapter.features() & wgpu::Features::SUBGROUP,
        ..Default::default()
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
    Gpu::from_wgpu(device, queue)
}

/// Inputs up to this many elements get a central difference for each; larger ones for some, and one along a
/// random direction, which all elements take part in.
const DIFFERENCED: usize = 400;

/// What a case must give, worked out once for all devices.
struct Case {
    name: String,
    inputs: Vec<Array>,
    y: Array,
    dy: Array,
    gradients: Vec<Gradient>,
    atol: f64,
}

enum Gradient {
    Whole(Array),
    /// Some elements by position, and the derivative along a direction with its scale.
    Part {
        elements: Vec<(usize, f64)>,
        direction: Array,
        derivative: f64,
    },
}

impl Row {
    fn cases(&self) -> impl Iterator<Item = Case> + '_ {
        self.cases.iter().enumerate().map(|(i, shapes)| {
            // Seeded by the row and the case: adding a row changes no other.
            let seed = self.name.bytes().fold(i as u64, |seed, byte| seed.wrapping_mul(31) + u64::from(byte));
            let mut sampler = Sampler::new(seed);
            let inputs: Vec<Array> = shapes.iter().map(|s| self.draw.draw(&mut sampler, s)).collect();
            let y = (self.reference)(&inputs);
            let dy = sampler.uniform(&y.shape, -1.0, 1.0);
            let gradients =
                if self.differentiable { self.gradients(&inputs, &dy, &mut sampler) } else { Vec::new() };
            let atol = ATOL.max(6e-8 * (self.terms)(&inputs) as f64);
            Case { atol, name: format!("{} {shapes:?}", self.name), inputs, y, dy, gradients }
        })
    }

    fn gradients(&self, inputs: &[Array], dy: &Array, sampler: &mut Sampler) -> Vec<Gradient> {
        if inputs.iter().map(Array::len).sum::<usize>() <= DIFFERENCED {
            return numeric_gradient(inputs, dy, &self.reference).into_iter().map(Gradient::Whole).collect();
        }
        // sum(dy · f) where one input is moved.
        let difference = |input: usize, direction: &[(usize, f64)]| {
            let h = step(1.0);
            let moved = |sign: f64| {
                let mut inputs = inputs.to_vec();
                for &(at, by) in direction {
                    inputs[input].data[at] += sign * h * by;
                }
                (self.reference)(&inputs)
            };
            let (above, below) = (moved(1.0), moved(-1.0));
            let pairs = above.data.iter().zip(&below.data).zip(&dy.data);
            pairs.map(|((a, b), dy)| dy * (a - b)).sum::<f64>() / (2.0 * h)
        };
        let part = |(input, x): (usize, &Array)| {
            let direction = sampler.uniform(&x.shape, -1.0, 1.0);
            let all: Vec<(usize, f64)> = direction.data.iter().copied().enumerate().collect();
            let some = sampler.labels(12, x.len()).into_iter().chain([0, x.len() - 1]);
            let elements = some.map(|at| (at, difference(input, &[(at, 1.0)]))).collect();
            Gradient::Part { elements, derivative: difference(input, &all), direction }
        };
        inputs.iter().enumerate().map(part).collect()
    }

    /// Runs every case on every device. Gives what went wrong: a message for each case and device, with the worst error
    /// and the tolerance, which is printed at once as well, so that a run that is cut short has told of it.
    pub fn failures(&self, gpus: &[(&str, Gpu)]) -> Vec<String> {
        let mut failures = Vec::new();
        for (i, case) in self.cases().enumerate() {
            for (family, gpu) in gpus.iter().filter(|(_, gpu)| i < self.count_of(gpu)) {
                let checked = catch_unwind(AssertUnwindSafe(|| self.check_case(&case, family, gpu)));
                if let Err(panic) = checked {
                    let message = message(&*panic);
                    println!("{FAILED_ROW}{message}");
                    failures.push(message);
                }
            }
        }
        failures
    }

    /// Each case with random inputs on `gpu`: its name, and what records it and gives its output and gradients.
    pub fn recorders<'a>(
        &'a self,
        gpu: &'a Gpu,
    ) -> impl Iterator<Item = (String, impl Fn() -> Vec<Tensor> + 'a)> + 'a {
        self.cases.iter().take(self.count_of(gpu)).map(move |shapes| {
            let mut sampler = Sampler::new(shapes.iter().flatten().sum::<usize>() as u64);
            let mut input = |shape: &Vec<usize>| {
                let x = self.draw.draw(&mut sampler, shape).to_f32();
                Tensor::from_slice(gpu, &x, shape).unwrap().tracked()
            };
            let inputs: Vec<Tensor> = shapes.iter().map(&mut input).collect();
            let record = move || {
                let y = (self.op)(&inputs).unwrap();
                let mut outputs = vec![y.detach()];
                if self.differentiable {
                    let gradients = y.backward_from(&y.detach()).unwrap();
                    outputs.extend(inputs.iter().map(|x| gradients.get(x).unwrap().clone()));
                }
                outputs
            };
            (format!("{} {shapes:?}", self.name), record)
        })
    }

    /// Launches every kernel of the row on every device, without looking at the results.
    pub fn launch(&self, gpus: &[(&str, Gpu)]) {
        let cases = |gpu: &Gpu| self.cases.iter().take(self.count_of(gpu));
        for (shapes, gpu) in gpus.iter().flat_map(|(_, gpu)| cases(gpu).map(move |shapes| (shapes, gpu))) {
            let inputs: Vec<Tensor> =
                shapes.iter().map(|shape| Tensor::full(gpu, shape, 0.5).unwrap().tracked()).collect();
            let y = (self.op)(&inputs).unwrap();
            if self.differentiable {
                y.backward_from(&Tensor::full(gpu, y.shape(), 1.0).unwrap()).unwrap();
            }
        }
    }

    fn check_case(&self, case: &Case, family: &str, gpu: &Gpu) {
        let name = format!("{} ({family})", case.name);
        let upload = |x: &Array| Tensor::from_slice(gpu, &x.to_f32(), &x.shape).unwrap();
        let inputs: Vec<Tensor> = case.inputs.iter().map(|x| upload(x).tracked()).collect();
        let y = (self.op)(&inputs).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(y.shape(), case.y.shape, "{name}");
        assert_close(&name, &y.to_vec().unwrap(), &case.y, RTOL, case.atol);
        if !self.differentiable {
            assert!(!y.is_tracked(), "{name} has no gradient");
            return;
        }
        let dy = upload(&case.dy);
        case.check_gradients(&name, &y, &dy, &inputs, 1.0);
        // The same inputs used twice, the second time by half.
        let again = (self.op)(&inputs).unwrap().mul_add_scalar(0.5, 0.0).unwrap();
        let twice = (self.op)(&inputs).unwrap().add(&again).unwrap();
        case.check_gradients(&format!("{name}, used twice"), &twice, &dy, &inputs, 1.5);
    }
}

impl Case {
    fn check_gradients(&self, name: &str, y: &Tensor, dy: &Tensor, inputs: &[Tensor], scale: f64) {
        let gradients = y.backward_from(dy).unwrap();
        for (i, (input, want)) in inputs.iter().zip(&self.gradients).enumerate() {
            let name = format!("{name}, gradient {i}");
            let got = gradients.get(input).unwrap_or_else(|| panic!("{name} is missing"));
            assert_eq!(got.shape(), input.shape(), "{name}");
            want.check(&name, &got.to_vec().unwrap(), scale, self.atol);
        }
    }
}

impl Gradient {
    /// Holds `got` against `scale` times this one.
    fn check(&self, name: &str, got: &[f32], scale: f64, atol: f64) {
        match self {
            Gradient::Whole(want) => assert_close(name, got, &want.map(|v| v * scale), RTOL, atol),
            Gradient::Part { elements, direction, derivative } => {
                for &(at, want) in elements {
                    let want = Array::scalar(want * scale);
                    let element = check_close(name, &got[at..=at], &want, RTOL, atol);
                    element.unwrap_or_else(|message| panic!("element {at}: {message}"));
                }
                assert!(got.iter().all(|v| v.is_finite()), "{name} is not finite");
                // Errors of the elements add up at random, so the sum's tolerance is that of their norm.
                let pairs = || got.iter().zip(&direction.data).map(|(g, d)| f64::from(*g) * d);
                let norm = pairs().map(|v| v * v).sum::<f64>().sqrt();
                let atol = atol * (got.len() as f64).sqrt() + RTOL * norm;
                let (got, want) = (pairs().sum::<f64>(), derivative * scale);
                assert!((got - want).abs() <= atol, "{name} along a direction: {got}, want {want} ± {atol}");
            }
        }
    }
}
