//! Twenty steps of every optimizer against PyTorch's, and which launches a step is.

use wgrad_nn::autograd::device::shaders;
use wgrad_nn::autograd::{Gpu, Op, Tensor};
use wgrad_nn::{
    Adam, AdamOptions, Builder, Error, Gradients, Init, Optimizer, Parameters, RmsProp, RmsPropOptions, Sgd,
    SgdOptions, build,
};

use crate::common::{Fixture, bits, flat, gpu};

type Make = fn(&Parameters) -> Box<dyn Optimizer>;

fn sgd(lr: f64, momentum: f64, weight_decay: f64, nesterov: bool) -> SgdOptions {
    SgdOptions { lr, momentum, weight_decay, nesterov, ..Default::default() }
}

const CONFIGS: [(&str, Make); 8] = [
    ("sgd", |p| Box::new(Sgd::new(p, sgd(0.1, 0.0, 0.0, false)).unwrap())),
    ("sgd_momentum", |p| Box::new(Sgd::new(p, sgd(0.1, 0.9, 0.0, false)).unwrap())),
    ("sgd_nesterov", |p| Box::new(Sgd::new(p, sgd(0.1, 0.9, 5e-4, true)).unwrap())),
    ("adam", |p| {
        Box::new(Adam::new(p, AdamOptions { lr: 1e-2, weight_decay: 1e-2, ..Default::default() }).unwrap())
    }),
    ("adamw", |p| {
        Box::new(Adam::new(p, AdamOptions { lr: 1e-2, weight_decay: 1e-1, ..AdamOptions::adamw() }).unwrap())
    }),
    ("sgd_dampening", |p| {
        let options = SgdOptions { dampening: 0.3, ..sgd(0.1, 0.9, 0.0, false) };
        Box::new(Sgd::new(p, options).unwrap())
    }),
    ("rmsprop", |p| Box::new(RmsProp::new(p, RmsPropOptions { alpha: 0.9, ..Default::default() }).unwrap())),
    ("rmsprop_momentum", |p| {
        let options = RmsPropOptions { momentum: 0.9, weight_decay: 1e-2, ..Default::default() };
        Box::new(RmsProp::new(p, options).unwrap())
    }),
];

fn parameters(gpu: &Gpu, shapes: &[(&str, &[usize])]) -> Parameters {
    let make = |b: &Builder| {
        for (name, shape) in shapes {
            b.param(name, shape, Init::Uniform { bound: 1.0 });
        }
    };
    build(gpu, 0, make).unwrap().1
}

/// A store of these gradients.
fn gradients_of(parameters: &Parameters, pairs: &[(&str, &Tensor)]) -> Gradients {
    let mut gradients = Gradients::zeros(parameters).unwrap();
    pairs.iter().for_each(|(name, gradient)| gradients.set(name, gradient).unwrap());
    gradients
}

#[test]
fn twenty_steps_of_every_optimizer_are_pytorchs() {
    let fixture = Fixture::open("optimizers.safetensors");
    let gpu = gpu();
    for (config, make) in CONFIGS {
        let parameters = parameters(&gpu, &[("a", &[5, 3]), ("b", &[7])]);
        let initial = fixture.state_dict([("initial.a", "a"), ("initial.b", "b")]);
        parameters.load_state_dict(&initial, "initial").unwrap();
        let (a, b) = (parameters.get("a").unwrap(), parameters.get("b").unwrap());
        let mut optimizer = make(&parameters);
        for step in 1..=20 {
            let gradient = |name: &str| fixture.tensor(&gpu, &format!("grad.{step}.{name}"));
            let gradients = gradients_of(&parameters, &[("a", &gradient("a")), ("b", &gradient("b"))]);
            gpu.submit().unwrap();
            optimizer.step(&gradients).unwrap();

            let recorded = gpu.pending_commands();
            let launches: Vec<&str> = recorded.iter().map(|command| command.name.as_str()).collect();
            let rule = config.split('_').next().unwrap().trim_end_matches('w');
            let kernel = format!("optimize+{rule}");
            let is_new = step == 1 || rule == "adam" || (config == "sgd_dampening" && step == 2);
            let writes = usize::from(is_new);
            let expected: Vec<&str> = ["write", &kernel].split_at(1 - writes).1.to_vec();
            assert_eq!(launches, expected, "{config}: one launch, and its numbers where they changed");

            for (name, tensor) in [("a", a), ("b", b)] {
                fixture.assert_close(&format!("{config}.{step}.{name}"), tensor, 1e-6, 5e-7);
            }
            assert_eq!(optimizer.steps(), step);
        }
        let flat = flat(&parameters);
        let padding = flat[15..64].iter().chain(&flat[71..]);
        assert!(padding.clone().count() > 0 && padding.clone().all(|&x| x == 0.0), "{config}: {flat:?}");
    }
    let parameters = parameters(&gpu, &[("a", &[5, 3])]);
    let mut all = Gradients::zeros(&parameters).unwrap();
    all.fill(1.0).unwrap();
    all.add(&all.copy().unwrap()).unwrap();
    all.scale(0.5).unwrap();
    all.lerp(&all.copy().unwrap(), 0.5).unwrap();
    all.clip_value(0.5).unwrap();
    all.clip_norm(0.5).unwrap();
    all.map(|x| Ok(x.clone())).unwrap();
    all.add_penalty("*", 0.1, 0.1).unwrap();
    for (_, make) in crate::optimizer_steps::CONFIGS {
        make(&parameters).step(&all).unwrap();
    }
    let composed = gpu.composed();
    let launched = composed.iter().map(|composed| (&composed.files[..], composed.entry.as_str()));
    assert_eq!(shaders::unlaunched(&["optim"], launched), [""; 0]);
}

#[test]
fn parameters_without_a_gradient_are_not_touched() {
    let gpu = gpu();
    let configs: [(&str, Make); 2] = [
        ("sgd", |p| Box::new(Sgd::new(p, sgd(0.1, 0.9, 0.1, false)).unwrap())),
        ("adamw", |p| Box::new(Adam::new(p, AdamOptions { lr: 0.1, ..AdamOptions::adamw() }).unwrap())),
    ];
    for (config, make) in configs {
        let parameters = parameters(&gpu, &[("a", &[70]), ("frozen", &[5]), ("c", &[3, 50])]);
        let before = parameters.state_dict().unwrap();
        let ones = |shape: &[usize]| Tensor::full(&gpu, shape, 1.0).unwrap();
        let mut optimizer = make(&parameters);
        for _ in 0..3 {
            let gradients = gradients_of(&parameters, &[("a", &ones(&[70])), ("c", &ones(&[3, 50]))]);
            optimizer.step(&gradients).unwrap();
        }
        let after = parameters.state_dict().unwrap();
        assert_eq!(pollster::block_on(parameters.state_dict_async()).unwrap(), after);
        assert_eq!(bits(&after.tensors["frozen"].1), bits(&before.tensors["frozen"].1), "{config}");
        for name in ["a", "c"] {
            let pairs = after.tensors[name].1.iter().zip(&before.tensors[name].1);
            assert!(pairs.clone().all(|(after, before)| *after < before - 0.1), "{config}: {name}");
        }
        for (name, values) in optimizer.state().iter() {
            let moments = values.to_state_dict().unwrap();
            assert_eq!(pollster::block_on(values.to_state_dict_async()).unwrap(), moments);
            assert!(moments.tensors["frozen"].1.iter().all(|&m| m == 0.0), "{config}: {name}");
            assert!(moments.tensors["c"].1.iter().all(|&m| m > 0.0), "{config}: {name}");
        }
    }
}

/// A launch cannot read the buffer that it changes, so such a gradient is copied first.
#[test]
fn a_gradient_may_be_the_parameter_itself() {
    let gpu = gpu();
    let parameters = parameters(&gpu, &[("a", &[7])]);
    let a = parameters.get("a").unwrap();
    let before = a.to_vec().unwrap();
    let mut optimizer = Sgd::new(&parameters, sgd(0.5, 0.0, 0.0, false)).unwrap();
    optimizer.step(&gradients_of(&parameters, &[("a", a)])).unwrap();
    let half: Vec<f32> = before.iter().map(|w| w - 0.5 * w).collect();
    assert!(before.iter().any(|w| *w != 0.0));
    assert_eq!(a.to_vec().unwrap(), half);
}

/// An op of one's own that returns a gradient of another shape than its input's.
struct Misshapen;

impl Op for Misshapen {
    fn name(&self) -> &'static str {
        "misshapen"
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> wgrad_nn::autograd::Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(Tensor::full(dy.gpu(), &[300], 1.0)?)])
    }
}

#[test]
fn a_gradient_of_another_shape_is_refused() {
    let gpu = gpu();
    let parameters = parameters(&gpu, &[("a", &[7]), ("b", &[5])]);
    let before = flat(&parameters);
    let a = parameters.get("a").unwrap();
    let loss = a.detach().with_op(&[a], || Misshapen).sum_all().unwrap();
    let error = parameters.gradients(&loss).unwrap_err().to_string();
    assert!(error.contains("[7]") && error.contains("[300]"), "{error}");
    assert_eq!(bits(&flat(&parameters)), bits(&before));
}

#[test]
fn a_step_without_any_gradient_changes_nothing() {
    let gpu = gpu();
    for (config, make) in CONFIGS {
        let parameters = parameters(&gpu, &[("a", &[5, 3])]);
        let before = flat(&parameters);
        make(&parameters).step(&Gradients::zeros(&parameters).unwrap()).unwrap();
        assert_eq!(bits(&flat(&parameters)), bits(&before), "{config}");
    }
}

#[test]
fn the_learning_rate_can_be_changed_between_steps() {
    let gpu = gpu();
    for (config, make) in CONFIGS {
        let parameters = parameters(&gpu, &[("a", &[3])]);
        let a = parameters.get("a").unwrap();
        let mut optimizer = make(&parameters);
        optimizer.set_lr(0.0);
        assert_eq!(optimizer.lr(), 0.0);
        let before = a.to_vec().unwrap();
        optimizer
            .step(&gradients_of(&parameters, &[("a", &Tensor::full(&gpu, &[3], 1.0).unwrap())]))
            .unwrap();
        assert_eq!(a.to_vec().unwrap(), before, "{config}");
    }
}

/// A schedule of one's own may come to anything.
#[test]
fn a_learning_rate_that_no_step_can_use_changes_nothing() {
    let gpu = gpu();
    for (config, make) in CONFIGS {
        let parameters = parameters(&gpu, &[("a", &[3])]);
        let a = parameters.get("a").unwrap();
        let before = bits(&a.to_vec().unwrap());
        let mut optimizer = make(&parameters);
        let ones = Tensor::full(&gpu, &[3], 1.0).unwrap();
        for lr in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e-3] {
            optimizer.set_lr(lr);
            let error = optimizer.step(&gradients_of(&parameters, &[("a", &ones)])).unwrap_err();
            assert!(matches!(error, Error::Options { .. }), "{config}: {error}");
            assert!(error.to_string().contains("learning rate"), "{error}");
        }
        assert_eq!((bits(&a.to_vec().unwrap()), optimizer.steps()), (before.clone(), 0), "{config}");
        optimizer.set_lr(0.1);
        optimizer.step(&gradients_of(&parameters, &[("a", &ones)])).unwrap();
        assert_ne!(bits(&a.to_vec().unwrap()), before, "{config}");
    }
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let gpu = gpu();
    let parameters = parameters(&gpu, &[("a", &[3])]);
    for options in [
        sgd(-0.1, 0.0, 0.0, false),
        sgd(f64::NAN, 0.0, 0.0, false),
        sgd(f64::INFINITY, 0.0, 0.0, false),
        sgd(0.1, -0.9, 0.0, false),
        sgd(0.1, 0.9, -1.0, false),
        sgd(0.1, 0.0, 0.0, true),
        SgdOptions { dampening: 0.5, ..sgd(0.1, 0.9, 0.0, true) },
        SgdOptions { dampening: f64::NAN, ..sgd(0.1, 0.9, 0.0, false) },
    ] {
        let error = Sgd::new(&parameters, options).err().unwrap();
        assert!(matches!(error, Error::Options { what: "sgd", .. }), "{options:?}: {error}");
    }
    let adam = AdamOptions::default();
    for options in [
        AdamOptions { lr: -1.0, ..adam },
        AdamOptions { betas: [1.0, 0.999], ..adam },
        AdamOptions { betas: [0.9, -0.1], ..adam },
        AdamOptions { eps: f64::NAN, ..adam },
        AdamOptions { eps: 1e-50, ..adam },
        AdamOptions { weight_decay: -1.0, ..adam },
    ] {
        let error = Adam::new(&parameters, options).err().unwrap();
        assert!(matches!(error, Error::Options { what: "adam", .. }), "{options:?}: {error}");
    }
    let rms = RmsPropOptions::default();
    for options in [
        RmsPropOptions { lr: -1.0, ..rms },
        RmsPropOptions { eps: 0.0, ..rms },
        RmsPropOptions { momentum: f64::INFINITY, ..rms },
    ] {
        let error = RmsProp::new(&parameters, options).err().unwrap();
        assert!(matches!(error, Error::Options { what: "rmsprop", .. }), "{options:?}: {error}");
    }
}
