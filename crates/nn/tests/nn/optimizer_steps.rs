//! Twenty steps of Adagrad, Adadelta, NAdam, AMSGrad, Lion, LAMB, Adafactor and Muon against PyTorch's, or their papers'; what they
//! keep, and penalties.

use wgrad_nn::autograd::{Gpu, Tensor};
use wgrad_nn::{
    Adadelta, AdadeltaOptions, Adafactor, AdafactorOptions, Adagrad, AdagradOptions, AdamOptions, AmsGrad,
    AmsGradOptions, Builder, Error, Gradients, Init, Lamb, LambOptions, Lion, LionOptions, Muon, MuonAdjust,
    MuonOptions, NAdam, NAdamOptions, Optim, Optimizer, Parameters, TensorOptim, TensorRule, UpdateRule,
    build,
};

use crate::common::{Fixture, bits, flat, gpu};

type Make = fn(&Parameters) -> Box<dyn Optimizer>;

fn elementwise<R: UpdateRule + 'static>(parameters: &Parameters, rule: R) -> Box<dyn Optimizer> {
    Box::new(Optim::new(parameters, rule).unwrap())
}

fn whole<R: TensorRule + 'static>(parameters: &Parameters, rule: R) -> Box<dyn Optimizer> {
    Box::new(TensorOptim::new(parameters, rule).unwrap())
}

fn amsgrad(parameters: &Parameters, adam: AdamOptions) -> Box<dyn Optimizer> {
    elementwise(parameters, AmsGradOptions { adam })
}

pub const CONFIGS: [(&str, Make); 15] = [
    ("adagrad", |p| elementwise(p, AdagradOptions { lr: 0.1, ..Default::default() })),
    ("adagrad_all", |p| {
        let options = AdagradOptions { lr: 0.1, lr_decay: 0.1, weight_decay: 0.01, ..Default::default() };
        elementwise(p, AdagradOptions { initial_accumulator_value: 0.5, ..options })
    }),
    ("adadelta", |p| elementwise(p, AdadeltaOptions::default())),
    ("adadelta_all", |p| {
        elementwise(p, AdadeltaOptions { lr: 0.5, rho: 0.8, eps: 1e-4, weight_decay: 0.01 })
    }),
    ("nadam", |p| elementwise(p, NAdamOptions::default())),
    ("nadam_all", |p| {
        let options = NAdamOptions { lr: 0.01, betas: [0.8, 0.9], weight_decay: 0.1, ..Default::default() };
        elementwise(p, NAdamOptions { momentum_decay: 0.1, decoupled: true, ..options })
    }),
    ("amsgrad", |p| {
        amsgrad(p, AdamOptions { lr: 0.01, betas: [0.9, 0.5], weight_decay: 0.01, ..Default::default() })
    }),
    ("amsgrad_decoupled", |p| {
        amsgrad(p, AdamOptions { lr: 0.01, betas: [0.9, 0.5], weight_decay: 0.1, ..AdamOptions::adamw() })
    }),
    ("lion", |p| elementwise(p, LionOptions { lr: 0.01, weight_decay: 0.1, ..Default::default() })),
    ("lamb", |p| whole(p, LambOptions { lr: 0.01, ..Default::default() })),
    ("lamb_decay", |p| {
        whole(p, LambOptions { lr: 0.02, betas: [0.8, 0.9], weight_decay: 0.1, ..Default::default() })
    }),
    ("adafactor", |p| whole(p, AdafactorOptions::default())),
    ("adafactor_all", |p| {
        let options = AdafactorOptions { lr: 0.3, beta2_decay: -0.5, d: 1.25, ..Default::default() };
        whole(p, AdafactorOptions { weight_decay: 0.1, ..options })
    }),
    ("muon", |p| whole(p, MuonOptions { lr: 0.02, adam_scale: 0.5, ..Default::default() })),
    ("muon_all", |p| {
        let options = MuonOptions { lr: 0.02, adam_scale: 0.5, momentum: 0.8, ..Default::default() };
        let (nesterov, adjust) = (false, MuonAdjust::MatchRmsAdamW);
        whole(p, MuonOptions { nesterov, adjust, weight_decay: 0.0, ns_steps: 3, ..options })
    }),
];

const NAMES: [&str; 3] = ["a", "b", "c"];

fn subject(gpu: &Gpu, fixture: &Fixture) -> Parameters {
    let make = |b: &Builder| {
        b.param("a", &[5, 3], Init::Constant(0.0));
        b.param("b", &[7], Init::Constant(0.0));
        b.param("c", &[2, 3, 4], Init::Constant(0.0));
    };
    let (_, parameters) = build(gpu, 0, make).unwrap();
    let initial = fixture.state_dict([("initial.a", "a"), ("initial.b", "b"), ("initial.c", "c")]);
    parameters.load_state_dict(&initial, "initial").unwrap();
    parameters
}

fn gradients(parameters: &Parameters, fixture: &Fixture, step: usize) -> Gradients {
    let mut gradients = Gradients::zeros(parameters).unwrap();
    for name in NAMES {
        let gradient = fixture.tensor(parameters.gpu(), &format!("grad.{step}.{name}"));
        gradients.set(name, &gradient).unwrap();
    }
    gradients
}

#[test]
fn twenty_steps_of_every_optimizer_are_pytorchs() {
    let fixture = Fixture::open("optimizer_steps.safetensors");
    let gpu = gpu();
    for (config, make) in CONFIGS {
        let parameters = subject(&gpu, &fixture);
        let mut optimizer = make(&parameters);
        for step in 1..=20 {
            optimizer.step(&gradients(&parameters, &fixture, step)).unwrap();
            for name in NAMES.into_iter().filter(|_| [1, 2, 5, 20].contains(&step)) {
                let name_of = format!("{config}.{step}.{name}");
                fixture.assert_close(&name_of, parameters.get(name).unwrap(), 2e-6, 1e-6);
            }
        }
        assert_eq!((optimizer.steps(), optimizer.state().steps_of("c")), (20, Some(20)));
        let flat = flat(&parameters);
        let padding = [&flat[15..64], &flat[71..128], &flat[152..]].concat();
        assert!(padding.iter().all(|&x| x == 0.0), "{config}: {flat:?}");
    }
}

/// What is kept goes through a state dict, so that a run that is resumed goes on as if it had not been cut.
#[test]
fn state_is_saved_and_loaded() {
    let fixture = Fixture::open("optimizer_steps.safetensors");
    let gpu = gpu();
    for (config, make) in CONFIGS {
        let (whole, resumed) = (subject(&gpu, &fixture), subject(&gpu, &fixture));
        let mut optimizer = make(&whole);
        for step in 1..=3 {
            optimizer.step(&gradients(&whole, &fixture, step)).unwrap();
        }
        let state = optimizer.state().to_state_dict().unwrap();
        let keys: Vec<String> = optimizer.state().shapes().map(|(key, _)| key).collect();
        assert_eq!(state.tensors.len(), keys.len(), "{config}");
        assert!(optimizer.state().bytes() >= 4 * 7, "{config}");
        resumed.load_state_dict(&whole.state_dict().unwrap(), "saved").unwrap();
        let mut other = make(&resumed);
        other.state_mut().load_state_dict(&state, "saved").unwrap();
        for step in 4..=5 {
            optimizer.step(&gradients(&whole, &fixture, step)).unwrap();
            other.step(&gradients(&resumed, &fixture, step)).unwrap();
        }
        assert_eq!(bits(&flat(&resumed)), bits(&flat(&whole)), "{config}");
        let error = other.state_mut().load_state_dict(&Default::default(), "none").unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }), "{config}: {error}");
    }
}

/// PyTorch's names and shapes; of a matrix Adafactor keeps a row and a column.
#[test]
fn state_of_whole_parameters_has_its_own_shapes() {
    let fixture = Fixture::open("optimizer_steps.safetensors");
    let gpu = gpu();
    let parameters = subject(&gpu, &fixture);
    let adafactor = Adafactor::new(&parameters, AdafactorOptions::default()).unwrap();
    let shapes: Vec<(String, Vec<usize>)> =
        adafactor.state().shapes().map(|(key, shape)| (key, shape.to_vec())).collect();
    let want: [(&str, &[usize]); 5] = [
        ("row_var.a", &[5, 1]),
        ("col_var.a", &[1, 3]),
        ("variance.b", &[7]),
        ("row_var.c", &[2, 3, 1]),
        ("col_var.c", &[2, 1, 4]),
    ];
    assert!(shapes.iter().map(|(key, shape)| (key.as_str(), shape.as_slice())).eq(want), "{shapes:?}");
    assert_eq!(adafactor.state().tensor("row_var", "a").unwrap().shape(), [5, 1]);

    let mut muon = Muon::new(&parameters, MuonOptions::default()).unwrap();
    muon.group("c", |o| o.adam_only = true).unwrap();
    let keys: Vec<String> = muon.state().shapes().map(|(key, _)| key).collect();
    assert_eq!(keys, ["momentum_buffer.a", "exp_avg.b", "exp_avg_sq.b", "exp_avg.c", "exp_avg_sq.c"]);
    let lamb = Lamb::new(&parameters, LambOptions::default()).unwrap();
    assert_eq!(lamb.state().shapes().count(), 6);
}

/// A rate, a frozen parameter and one without a gradient do what they do for all optimizers.
#[test]
fn what_takes_no_part_stays() {
    let fixture = Fixture::open("optimizer_steps.safetensors");
    let gpu = gpu();
    for (config, make) in CONFIGS {
        let parameters = subject(&gpu, &fixture);
        let before = parameters.state_dict().unwrap();
        let mut optimizer = make(&parameters);
        optimizer.step(&Gradients::zeros(&parameters).unwrap()).unwrap();
        let full = gradients(&parameters, &fixture, 1);
        for lr in [f64::NAN, -1.0, f64::INFINITY] {
            optimizer.set_lr(lr);
            assert!(matches!(optimizer.step(&full).unwrap_err(), Error::Options { .. }), "{config}");
        }
        optimizer.set_lr(0.0);
        optimizer.step(&full).unwrap();
        let values = |parameters: &Parameters| parameters.state_dict().unwrap().tensors;
        assert_eq!(values(&parameters), before.tensors, "{config}: a rate of 0");
        optimizer.set_lr(0.01);
        parameters.freeze("a").unwrap();
        let mut partly = Gradients::zeros(&parameters).unwrap();
        for name in ["a", "b"] {
            partly.set(name, &fixture.tensor(&gpu, &format!("grad.1.{name}"))).unwrap();
        }
        optimizer.step(&partly).unwrap();
        let after = values(&parameters);
        assert_eq!((&after["a"], &after["c"]), (&before.tensors["a"], &before.tensors["c"]), "{config}");
        assert_ne!(after["b"], before.tensors["b"], "{config}");
        let other = subject(&gpu, &fixture);
        let error = optimizer.step(&gradients(&other, &fixture, 1)).unwrap_err();
        assert!(error.to_string().contains("other parameters"), "{config}: {error}");
    }
}

#[test]
fn a_parameter_of_norm_0_is_not_scaled() {
    let gpu = gpu();
    let (_, parameters) = build(&gpu, 0, |b| b.param("a", &[3], Init::Constant(0.0))).unwrap();
    let mut lamb = Lamb::new(&parameters, LambOptions { lr: 0.5, ..Default::default() }).unwrap();
    let mut gradients = Gradients::zeros(&parameters).unwrap();
    gradients.set("a", &Tensor::from_slice(&gpu, &[1.0, -2.0, 0.0], &[3]).unwrap()).unwrap();
    lamb.step(&gradients).unwrap();
    // Adam's first step is the gradient's sign.
    let values = parameters.get("a").unwrap().to_vec().unwrap();
    assert!(values.iter().zip([-0.5, 0.5, 0.0]).all(|(got, want)| (got - want).abs() < 1e-5), "{values:?}");
}

#[test]
fn groups_have_rates_of_their_own() {
    let gpu = gpu();
    let fixture = Fixture::open("optimizer_steps.safetensors");
    let (parameters, other) = (subject(&gpu, &fixture), subject(&gpu, &fixture));
    let mut lamb = Lamb::new(&parameters, LambOptions { lr: 0.2, ..Default::default() }).unwrap();
    lamb.group("c", |o| (o.lr, o.weight_decay) = (0.1, 0.5)).unwrap();
    lamb.set_lr(0.02);
    lamb.step(&gradients(&parameters, &fixture, 1)).unwrap();
    let alone = LambOptions { lr: 0.01, weight_decay: 0.5, ..Default::default() };
    Lamb::new(&other, alone).unwrap().step(&gradients(&other, &fixture, 1)).unwrap();
    let value = |parameters: &Parameters, name: &str| bits(&parameters.get(name).unwrap().to_vec().unwrap());
    assert_eq!(value(&parameters, "c"), value(&other, "c"));
    assert_ne!(value(&parameters, "a"), value(&other, "a"));
    assert!(matches!(lamb.group("d", |_| ()).unwrap_err(), Error::Options { what: "lamb", .. }));
    assert!(matches!(lamb.group("c", |o| o.eps = -1.0).unwrap_err(), Error::Options { what: "lamb", .. }));
}

/// SGD that keeps the last weights and the last two gradients: what its update gives is what it got.
#[derive(Clone)]
struct History;

impl TensorRule for History {
    const NAME: &'static str = "history";

    fn state(&self, shape: &[usize]) -> Vec<(&'static str, Vec<usize>)> {
        ["weights", "newer", "older"].map(|name| (name, shape.to_vec())).to_vec()
    }

    fn update(
        &self,
        w: &Tensor,
        gradient: &Tensor,
        state: &[&Tensor],
        _: u64,
    ) -> wgrad_nn::autograd::Result<(Tensor, Vec<Tensor>)> {
        Ok((w.sub(gradient)?, vec![w.clone(), gradient.clone(), state[1].clone()]))
    }

    fn lr(&self) -> f64 {
        1.0
    }

    fn set_lr(&mut self, _: f64) {}
}

#[test]
fn what_a_rule_gives_may_be_what_it_got() {
    let gpu = gpu();
    let (_, parameters) = build(&gpu, 0, |b| b.param("a", &[3], Init::Constant(10.0))).unwrap();
    let mut optimizer = TensorOptim::new(&parameters, History).unwrap();
    for step in [1.0, 2.0, 3.0] {
        let mut gradients = Gradients::zeros(&parameters).unwrap();
        gradients.set("a", &Tensor::full(&gpu, &[3], step).unwrap()).unwrap();
        optimizer.step(&gradients).unwrap();
    }
    let state = optimizer.state().to_state_dict().unwrap();
    let kept = ["weights.a", "newer.a", "older.a"].map(|name| state.tensors[name].1[0]);
    assert_eq!((flat(&parameters)[0], kept), (4.0, [7.0, 3.0, 2.0]));
}

#[test]
fn a_state_that_starts_anew_counts_its_steps_anew() {
    let gpu = gpu();
    let (_, parameters) = build(&gpu, 0, |b| b.param("a", &[2, 2], Init::Constant(1.0))).unwrap();
    let mut muon = Muon::new(&parameters, MuonOptions { lr: 0.5, ..Default::default() }).unwrap();
    let mut gradients = Gradients::zeros(&parameters).unwrap();
    gradients.fill(2.0).unwrap();
    for _ in 0..20 {
        muon.step(&gradients).unwrap();
    }
    assert_eq!(muon.state().steps_of("a"), Some(20));
    muon.group("a", |o| (o.adam_only, o.adam_weight_decay) = (true, 0.0)).unwrap();
    let before = parameters.get("a").unwrap().to_vec().unwrap();
    muon.step(&gradients).unwrap();
    let after = parameters.get("a").unwrap().to_vec().unwrap();
    // Adam's first step is the rate.
    assert!((before[0] - after[0] - 0.5).abs() < 1e-4, "{before:?} {after:?}");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let gpu = gpu();
    let (_, parameters) = build(&gpu, 0, |b| b.param("a", &[3], Init::Constant(0.0))).unwrap();
    let p = &parameters;
    let errors = [
        Adagrad::new(p, AdagradOptions { lr_decay: -1.0, ..Default::default() }).err(),
        Adagrad::new(p, AdagradOptions { initial_accumulator_value: f64::NAN, ..Default::default() }).err(),
        Adadelta::new(p, AdadeltaOptions { rho: 1.0, ..Default::default() }).err(),
        Adadelta::new(p, AdadeltaOptions { eps: 0.0, ..Default::default() }).err(),
        NAdam::new(p, NAdamOptions { momentum_decay: -1.0, ..Default::default() }).err(),
        NAdam::new(p, NAdamOptions { betas: [1.0, 0.9], ..Default::default() }).err(),
        AmsGrad::new(p, AmsGradOptions { adam: AdamOptions { eps: -1.0, ..Default::default() } }).err(),
        Lion::new(p, LionOptions { betas: [0.9, 1.5], ..Default::default() }).err(),
        Lion::new(p, LionOptions { lr: -1.0, ..Default::default() }).err(),
        Lamb::new(p, LambOptions { weight_decay: -0.1, ..Default::default() }).err(),
        Adafactor::new(p, AdafactorOptions { beta2_decay: 0.1, ..Default::default() }).err(),
        Adafactor::new(p, AdafactorOptions { d: 0.5, ..Default::default() }).err(),
        Muon::new(p, MuonOptions { ns_steps: 100, ..Default::default() }).err(),
        Muon::new(p, MuonOptions { momentum: 1.0, ..Default::default() }).err(),
        Muon::new(p, MuonOptions { lr: f64::NAN, ..Default::default() }).err(),
    ];
    for (i, error) in errors.into_iter().enumerate() {
        assert!(matches!(error, Some(Error::Options { .. })), "{i}: {error:?}");
    }
}

#[test]
fn penalties_are_added_where_there_is_a_gradient() {
    let gpu = gpu();
    let fixture = Fixture::open("optimizer_steps.safetensors");
    let parameters = subject(&gpu, &fixture);
    let mut gradients = Gradients::zeros(&parameters).unwrap();
    for name in ["a", "b"] {
        gradients.set(name, &fixture.tensor(&gpu, &format!("grad.1.{name}"))).unwrap();
    }
    gpu.submit().unwrap();
    gradients.add_penalty("*", 0.25, 0.5).unwrap();
    assert_eq!(gpu.pending_commands().iter().filter(|c| c.name.starts_with("flat")).count(), 1);
    gradients.add_penalty("b", 0.0, 1.0).unwrap();
    for (name, l2) in [("a", 0.5), ("b", 1.5)] {
        let pairs = fixture.values(&format!("initial.{name}")).1.into_iter();
        let pairs = pairs.zip(fixture.values(&format!("grad.1.{name}")).1);
        let want: Vec<f32> = pairs.map(|(w, g)| g + 0.25 * w.signum() + l2 * w).collect();
        let got = gradients.get(name).unwrap().to_vec().unwrap();
        assert!(
            got.iter().zip(&want).all(|(got, want)| (got - want).abs() < 1e-6),
            "{name}: {got:?} {want:?}"
        );
    }
    // Where there is no gradient, zeros stay.
    let values = gradients.flats()[0].to_vec().unwrap();
    assert!(values[128..152].iter().all(|&g| g == 0.0), "{values:?}");
    for error in [
        gradients.add_penalty("d", 0.1, 0.1).unwrap_err(),
        gradients.add_penalty("*", f32::NAN, 0.1).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Options { what: "add_penalty", .. }), "{error}");
    }
}
