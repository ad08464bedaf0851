//! An optimizer that implements `Optimizer` by itself, of the public API alone: LARS, against the same steps in f64.

use wgrad_nn::autograd::{Gpu, Tensor, no_grad};
use wgrad_nn::{
    BuildOptions, Builder, Error, Gradients, Init, Optimizer, OptimizerState, Parameters, Result, StateDict,
    build_with,
};
use wgrad_testkit::Array;
use wgrad_testkit::compare::assert_close;
use wgrad_testkit::sample::Sampler;

use crate::common::{bits, flat, gpu};
use crate::ranks::on_ranks;

const LR: f64 = 0.5;
const MOMENTUM: f64 = 0.9;
const DECAY: f64 = 0.01;
const TRUST: f64 = 0.02;

/// SGD with momentum whose rate for a matrix is a share of its weights' norm over its gradient's: You et al., "Large Batch Training
/// of Convolutional Networks", 2017. Parameters of one axis take plain steps.
struct Lars {
    lr: f64,
    state: OptimizerState,
}

impl Lars {
    fn new(parameters: &Parameters, lr: f64) -> Result<Self> {
        let mut state = OptimizerState::new(parameters, &["momentum_buffer"])?;
        for entry in parameters.entries() {
            // What the last step's rate was multiplied by.
            state.add_tensor("trust_ratio", &entry.name, &[])?;
        }
        Ok(Self { lr, state })
    }

    /// The new weights, momentum buffer and ratio.
    fn update(
        &self,
        w: &Tensor,
        gradient: &Tensor,
        buffer: &Tensor,
    ) -> wgrad_nn::autograd::Result<[Tensor; 3]> {
        let norm = |x: &Tensor| x.reshape(&[x.numel()])?.norm(&[0]);
        let ratio = if w.shape().len() < 2 {
            Tensor::full(w.gpu(), &[], 1.0)?
        } else {
            let below = norm(gradient)?.add(&norm(w)?.mul_add_scalar(DECAY as f32, 1e-9)?)?;
            norm(w)?.mul_add_scalar(TRUST as f32, 0.0)?.div(&below)?
        };
        let step = gradient.add(&w.mul_add_scalar(DECAY as f32, 0.0)?)?.mul(&ratio)?;
        let buffer =
            buffer.mul_add_scalar(MOMENTUM as f32, 0.0)?.add(&step.mul_add_scalar(self.lr as f32, 0.0)?)?;
        Ok([w.sub(&buffer)?, buffer, ratio])
    }
}

impl Optimizer for Lars {
    fn step(&mut self, gradients: &Gradients) -> Result<()> {
        if !self.lr.is_finite() || self.lr < 0.0 {
            let message = format!("a learning rate of {}: it is finite and at least 0", self.lr);
            return Err(Error::Options { what: "lars", message });
        }
        let takes_part = self.state.takes_part(gradients)?;
        let parameters = self.state.parameters().clone();
        for (entry, takes_part) in parameters.entries().iter().zip(&takes_part) {
            // Another rank steps it where this one does not keep its state.
            let (name, is_kept) = (entry.name.as_str(), self.state.kept()[entry.flat]);
            let buffer = self.state.tensor("momentum_buffer", name).filter(|_| *takes_part && is_kept);
            let (Some(buffer), Some(gradient)) = (buffer, gradients.get(name)) else { continue };
            let [w, buffer, ratio] = no_grad(|| self.update(&entry.tensor.detach(), &gradient, &buffer))?;
            parameters.values().set(name, &w)?;
            self.state.set_tensor("momentum_buffer", name, &buffer)?;
            self.state.set_tensor("trust_ratio", name, &ratio)?;
        }
        self.state.count_step(&takes_part);
        Ok(())
    }

    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn state(&self) -> &OptimizerState {
        &self.state
    }

    fn state_mut(&mut self) -> &mut OptimizerState {
        &mut self.state
    }
}

/// The same for one parameter, in f64.
#[derive(Clone)]
struct Reference {
    w: Vec<f64>,
    buffer: Vec<f64>,
    ratio: f64,
    steps: u64,
}

impl Reference {
    fn step(&mut self, gradient: &[f32], is_matrix: bool) {
        let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        let gradient: Vec<f64> = gradient.iter().map(|&g| f64::from(g)).collect();
        self.ratio = match is_matrix {
            true => TRUST * norm(&self.w) / (norm(&gradient) + DECAY * norm(&self.w)),
            false => 1.0,
        };
        for ((w, buffer), g) in self.w.iter_mut().zip(&mut self.buffer).zip(gradient) {
            *buffer = MOMENTUM * *buffer + LR * self.ratio * (g + DECAY * *w);
            *w -= *buffer;
        }
        self.steps += 1;
    }
}

const SHAPES: [(&str, &[usize]); 4] =
    [("fc1.weight", &[7, 5]), ("fc1.bias", &[7]), ("fc2.weight", &[3, 7]), ("fc2.bias", &[3])];

fn model(gpu: &Gpu, flat_bytes: Option<u64>) -> Parameters {
    let make = |b: &Builder| {
        for (name, shape) in SHAPES {
            b.param(name, shape, Init::UniformRange { low: -1.0, high: 1.0 });
        }
    };
    build_with(gpu, 5, BuildOptions { flat_bytes, ..Default::default() }, make).unwrap().1
}

/// The gradients of a step, by name: that of `fc2.weight` comes late.
fn gradients(step: u64) -> Vec<(&'static str, &'static [usize], Vec<f32>)> {
    let mut sampler = Sampler::new(step);
    let drawn = SHAPES.map(|(name, shape)| (name, shape, sampler.uniform(shape, -1.0, 1.0).to_f32()));
    drawn.into_iter().filter(|(name, ..)| *name != "fc2.weight" || step > 2).collect()
}

/// Makes a step. `fc1.bias` is frozen in the fourth.
fn make_step(optimizer: &mut Lars, step: u64) {
    let parameters = optimizer.state().parameters().clone();
    let mut store = Gradients::zeros(&parameters).unwrap();
    for (name, shape, values) in gradients(step) {
        store.set(name, &Tensor::from_slice(parameters.gpu(), &values, shape).unwrap()).unwrap();
    }
    match step {
        4 => parameters.freeze("fc1.bias").unwrap(),
        5 => parameters.unfreeze("fc1.bias").unwrap(),
        _ => (),
    }
    optimizer.step(&store).unwrap();
}

#[test]
fn lars_of_the_public_api_makes_the_steps_of_its_formula() {
    let gpu = gpu();
    let mut parameters = model(&gpu, None);
    let mut lars = Lars::new(&parameters, LR).unwrap();
    let first = |(name, shape): (&'static str, &[usize])| {
        let w = parameters.get(name).unwrap().to_vec().unwrap().into_iter().map(f64::from).collect();
        (name, Reference { w, buffer: vec![0.0; shape.iter().product()], ratio: 0.0, steps: 0 })
    };
    let mut references = SHAPES.map(first);
    for step in 1..=6 {
        if step == 4 {
            // Another process goes on from what the first kept.
            let (weights, kept) = (parameters.state_dict().unwrap(), lars.state().to_state_dict().unwrap());
            parameters = model(&gpu, None);
            parameters.load_state_dict(&weights, "weights").unwrap();
            lars = Lars::new(&parameters, LR).unwrap();
            let kept = StateDict::from_bytes(&kept.to_bytes().unwrap(), "kept").unwrap();
            lars.state_mut().load_state_dict(&kept, "kept").unwrap();
        }
        make_step(&mut lars, step);
        for (name, shape, values) in gradients(step) {
            let (_, reference) = references.iter_mut().find(|(known, _)| *known == name).unwrap();
            if step != 4 || name != "fc1.bias" {
                reference.step(&values, shape.len() > 1);
            }
        }
        for ((name, want), (_, shape)) in references.iter().zip(SHAPES) {
            let found = |got: &Tensor, shape: &[usize], values: Vec<f64>| {
                let what = format!("{name}, step {step}");
                assert_close(&what, &got.to_vec().unwrap(), &Array::new(shape, values), 2e-6, 1e-6);
            };
            let state = lars.state();
            found(parameters.get(name).unwrap(), shape, want.w.clone());
            found(&state.tensor("momentum_buffer", name).unwrap(), shape, want.buffer.clone());
            found(&state.tensor("trust_ratio", name).unwrap(), &[], vec![want.ratio]);
            assert_eq!((state.steps(), state.steps_of(name)), (step, Some(want.steps)), "{name}");
        }
    }
    let steps = references.map(|(_, reference)| reference.steps);
    assert_eq!(steps, [6, 5, 4, 6], "what is frozen or has no gradient makes no step");
}

#[test]
fn ranks_share_the_state_of_an_optimizer_of_ones_own() {
    let whole = model(&gpu(), Some(256));
    assert!(whole.flats().len() >= 4, "a flat buffer for each parameter");
    let mut lars = Lars::new(&whole, LR).unwrap();
    (1..=6).for_each(|step| make_step(&mut lars, step));
    let (weights, state) = (flat(&whole), lars.state().to_state_dict().unwrap());
    let found = on_ranks(2, |ranks| {
        let parameters = model(&gpu(), Some(256));
        let owners = parameters.shares(2);
        let own: Vec<bool> = owners.iter().map(|&owner| owner == ranks.rank()).collect();
        let mut lars = Lars::new(&parameters, LR).unwrap();
        lars.state_mut().keep_only(&own).unwrap();
        for step in 1..=6 {
            make_step(&mut lars, step);
            parameters.broadcast_flats(ranks.as_ref(), &owners).unwrap();
        }
        let kept = SHAPES.map(|(name, _)| lars.state().tensor("trust_ratio", name).is_some());
        (flat(&parameters), lars.state().gathered_state_dict(ranks.as_ref()).unwrap(), kept)
    });
    for (found, gathered, kept) in found {
        assert_eq!(bits(&found), bits(&weights));
        assert!(gathered == state && kept.contains(&true) && kept.contains(&false), "{kept:?}");
    }
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let gpu = gpu();
    let parameters = model(&gpu, None);
    let mut lars = Lars::new(&parameters, f64::NAN).unwrap();
    let before = flat(&parameters);
    let mut ones = Gradients::zeros(&parameters).unwrap();
    ones.fill(1.0).unwrap();
    assert!(lars.step(&ones).is_err());
    lars.set_lr(LR);
    let mut others = Gradients::zeros(&model(&gpu, None)).unwrap();
    others.fill(1.0).unwrap();
    let error = lars.step(&others).unwrap_err().to_string();
    assert!(error.contains("made for other parameters"), "{error}");
    assert_eq!((bits(&flat(&parameters)), lars.steps()), (bits(&before), 0));

    let state = lars.state_mut();
    let scalar = Tensor::full(&gpu, &[], 2.0).unwrap();
    let words = |result: Result<()>| result.unwrap_err().to_string();
    assert!(words(state.add_tensor("momentum_buffer", "fc1.bias", &[])).contains("another name"));
    assert!(words(state.add_tensor("scale", "fc3.bias", &[])).contains("no parameter fc3.bias"));
    assert!(words(state.set_tensor("scale", "fc1.bias", &scalar)).contains("no tensor scale"));
    let error = words(state.set_tensor("momentum_buffer", "fc1.bias", &scalar));
    assert_eq!(error, "optimizer: momentum_buffer of fc1.bias [7] gets a value []");
    state.add_tensor("scale", "fc1.bias", &[]).unwrap();
    state.set_tensor("scale", "fc1.bias", &scalar).unwrap();
    assert_eq!(state.tensor("scale", "fc1.bias").unwrap().item().unwrap(), 2.0);
    assert!(state.tensor("scale", "fc2.bias").is_none());
}
