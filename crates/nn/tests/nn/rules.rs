//! Optimizers of one's own, groups of parameters, and the steps of each parameter.

use wgrad_nn::autograd::device::shaders::File;
use wgrad_nn::autograd::{Gpu, Tensor};
use wgrad_nn::{
    Adam, AdamOptions, Builder, Error, Gradients, Init, Optim, Optimizer, Parameters, Sgd, SgdOptions,
    UpdateRule, build,
};

use crate::common::{Fixture, gpu};

/// The parameters of the fixture, as they start there.
fn subject(gpu: &Gpu, fixture: &Fixture) -> Parameters {
    let make = |b: &Builder| {
        b.param("a", &[5, 3], Init::Constant(0.0));
        b.param("b", &[7], Init::Constant(0.0));
    };
    let (_, parameters) = build(gpu, 0, make).unwrap();
    let initial = fixture.state_dict([("initial.a", "a"), ("initial.b", "b")]);
    parameters.load_state_dict(&initial, "initial").unwrap();
    parameters
}

/// Twenty steps; before the third `b` has no gradient, if it comes late.
fn follow(config: &str, fixture: &Fixture, parameters: &Parameters, optimizer: &mut dyn Optimizer) {
    for step in 1..=20 {
        let mut gradients = Gradients::zeros(parameters).unwrap();
        let names: &[&str] = if config.ends_with("_late") && step <= 2 { &["a"] } else { &["a", "b"] };
        for name in names {
            let gradient = fixture.tensor(parameters.gpu(), &format!("grad.{step}.{name}"));
            gradients.set(name, &gradient).unwrap();
        }
        optimizer.step(&gradients).unwrap();
        for name in ["a", "b"] {
            fixture.assert_close(
                &format!("{config}.{step}.{name}"),
                parameters.get(name).unwrap(),
                1e-6,
                5e-7,
            );
        }
    }
}

#[test]
fn a_parameter_that_comes_late_starts_at_the_full_rate() {
    let fixture = Fixture::open("optimizers.safetensors");
    let gpu = gpu();
    let parameters = subject(&gpu, &fixture);
    let mut adam = Adam::new(&parameters, AdamOptions { lr: 1e-2, ..Default::default() }).unwrap();
    follow("adam_late", &fixture, &parameters, &mut adam);
    let state = adam.state();
    assert_eq!((state.steps(), state.steps_of("a"), state.steps_of("b")), (20, Some(20), Some(18)));
    let parameters = subject(&gpu, &fixture);
    let options = SgdOptions { lr: 0.1, momentum: 0.9, dampening: 0.3, ..Default::default() };
    follow("sgd_late", &fixture, &parameters, &mut Sgd::new(&parameters, options).unwrap());
}

#[test]
fn groups_have_rates_and_decay_of_their_own_in_one_launch() {
    let fixture = Fixture::open("optimizers.safetensors");
    let gpu = gpu();
    let parameters = subject(&gpu, &fixture);
    let options = SgdOptions { lr: 0.1, momentum: 0.9, weight_decay: 0.1, ..Default::default() };
    let mut sgd = Sgd::new(&parameters, options).unwrap();
    sgd.group("*", |o| o.lr = 7.0).unwrap();
    sgd.group("a", |_| ()).unwrap();
    sgd.group("b", |o| (o.lr, o.weight_decay) = (0.01, 0.0)).unwrap();
    // A schedule changes all rates in proportion.
    sgd.set_lr(0.3);
    sgd.set_lr(0.1);
    follow("sgd_groups", &fixture, &parameters, &mut sgd);
    gpu.submit().unwrap();
    let mut ones = Gradients::zeros(&parameters).unwrap();
    ones.fill(1.0).unwrap();
    gpu.submit().unwrap();
    sgd.step(&ones).unwrap();
    let recorded = gpu.pending_commands();
    assert_eq!(recorded.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["optimize+sgd"]);

    for error in [
        sgd.group("c", |_| ()).unwrap_err(),
        sgd.group("b", |o| o.momentum = -1.0).unwrap_err(),
        sgd.group("b", |o| o.lr = f64::NAN).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Options { what: "sgd", .. }), "{error}");
    }
    sgd.set_lr(0.0);
    let error = sgd.group("b", |o| o.lr = 0.5).unwrap_err().to_string();
    assert!(error.contains("in proportion to 0"), "{error}");
}

/// Lion as one's own: `c = β1·m + (1 - β1)·g; w -= lr·(sign(c) + decay·w); m = β2·m + (1 - β2)·g`.
#[derive(Clone, Debug)]
struct Lion {
    lr: f64,
    betas: [f64; 2],
    decay: f64,
    file: &'static File,
}

static LION: File = File::new(
    "lion",
    "struct Scalars { lr: f32, beta1: f32, beta2: f32, decay: f32 }
@group(0) @binding(5) var<storage, read_write> exp_avg: array<vec4<f32>>;

fn update(i: u32, w: vec4<f32>, grad: vec4<f32>, s: Scalars) -> vec4<f32> {
    let m = exp_avg[i];
    exp_avg[i] = s.beta2 * m + (1.0 - s.beta2) * grad;
    return w - s.lr * (sign(s.beta1 * m + (1.0 - s.beta1) * grad) + s.decay * w);
}",
);

/// Writes far outside of its state.
static WILD: File = File::new(
    "wild",
    "struct Scalars { lr: f32, beta1: f32, beta2: f32, decay: f32 }
@group(0) @binding(5) var<storage, read_write> exp_avg: array<vec4<f32>>;

fn update(i: u32, w: vec4<f32>, grad: vec4<f32>, s: Scalars) -> vec4<f32> {
    exp_avg[i + 100000000u] = grad;
    return w - exp_avg[i + 100000000u];
}",
);

static OTHER_SCALARS: File = File::new("other", "struct Scalars { lr: f32, beta: f32 }");
static NO_SCALARS: File = File::new("none", "fn update() {}");
static BROKEN: File =
    File::new("broken", "struct Scalars { lr: f32, beta1: f32, beta2: f32, decay: f32 }\nfn update(");

impl UpdateRule for Lion {
    const NAME: &'static str = "lion";
    const STATE: &'static [&'static str] = &["exp_avg"];

    fn file(&self) -> &'static File {
        self.file
    }

    fn scalars(&self, _: u64) -> Vec<(&'static str, f64)> {
        let [beta1, beta2] = self.betas;
        // In another order than the file's.
        vec![("beta2", beta2), ("decay", self.decay), ("lr", self.lr), ("beta1", beta1)]
    }

    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn check(&self) -> Result<(), String> {
        if self.decay < 0.0 { Err(format!("a decay of {}", self.decay)) } else { Ok(()) }
    }
}

#[test]
fn an_optimizer_of_ones_own_has_its_own_wgsl() {
    let fixture = Fixture::open("optimizers.safetensors");
    let gpu = gpu();
    let parameters = subject(&gpu, &fixture);
    let lion = Lion { lr: 0.05, betas: [0.9, 0.99], decay: 0.1, file: &LION };
    let mut optimizer = Optim::new(&parameters, lion.clone()).unwrap();
    let (_, start) = fixture.values("initial.a");
    let mut want: Vec<(f64, f64)> = start.iter().map(|&w| (f64::from(w), 0.0)).collect();
    for step in 1..=4 {
        let gradient = fixture.tensor(&gpu, &format!("grad.{step}.a"));
        let mut gradients = Gradients::zeros(&parameters).unwrap();
        gradients.set("a", &gradient).unwrap();
        optimizer.step(&gradients).unwrap();
        for ((w, m), g) in want.iter_mut().zip(gradient.to_vec().unwrap()) {
            let g = f64::from(g);
            *w -= 0.05 * ((0.9 * *m + 0.1 * g).signum() + 0.1 * *w);
            *m = 0.99 * *m + 0.01 * g;
        }
    }
    let got = parameters.get("a").unwrap().to_vec().unwrap();
    assert!(
        got.iter().zip(&want).all(|(got, (want, _))| (f64::from(*got) - want).abs() < 1e-6),
        "{got:?} {want:?}"
    );
    let mean = optimizer.state().get("exp_avg").unwrap().get("a").unwrap().to_vec().unwrap();
    assert!(mean.iter().zip(&want).all(|(got, (_, want))| (f64::from(*got) - want).abs() < 1e-6));

    let refused = |file| Optim::new(&parameters, Lion { file, ..lion.clone() }).err().unwrap().to_string();
    assert!(refused(&OTHER_SCALARS).contains("[\"lr\", \"beta\"]"), "{}", refused(&OTHER_SCALARS));
    assert!(refused(&NO_SCALARS).contains("struct Scalars"), "{}", refused(&NO_SCALARS));
    let error = Optim::new(&parameters, Lion { decay: -1.0, ..lion.clone() }).err().unwrap().to_string();
    assert_eq!(error, "lion: a decay of -1");
    let mut ones = Gradients::zeros(&parameters).unwrap();
    ones.fill(1.0).unwrap();
    let mut broken = Optim::new(&parameters, Lion { file: &BROKEN, ..lion.clone() }).unwrap();
    assert!(matches!(broken.step(&ones).unwrap_err(), Error::Op(_)));
    assert_eq!(broken.steps(), 0);

    // Checked: what a wild index writes lands within the range bound, and nowhere else.
    let bystander = Tensor::full(&gpu, &[100_000], 2.0).unwrap();
    Optim::new(&parameters, Lion { file: &WILD, ..lion }).unwrap().step(&ones).unwrap();
    gpu.synchronize().unwrap();
    assert!(bystander.to_vec().unwrap().iter().all(|x| *x == 2.0));
}
