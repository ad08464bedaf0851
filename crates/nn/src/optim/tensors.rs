//! [`TensorRule`]: a kind of optimizer made of tensor ops, and [`TensorOptim`], the optimizer made of it.

use wgrad_autograd::{Tensor, no_grad};

use super::groups::Groups;
use super::state::{Named, assign};
use super::{Optimizer, OptimizerState, check_lr};
use crate::{Error, Gradients, Parameters, Result};

/// A kind of optimizer whose step takes norms or products of whole parameters: options, and a formula made of tensor ops. The
/// options implement this, and [`TensorOptim`] makes an optimizer of them. What goes element by element is faster as an
/// [`UpdateRule`](super::UpdateRule).
pub trait TensorRule: Clone {
    /// The name, for errors.
    const NAME: &'static str;

    /// Names and shapes of what is kept for a parameter of this shape, 0 at first.
    fn state(&self, shape: &[usize]) -> Vec<(&'static str, Vec<usize>)>;

    /// The new values of the parameter `w`, and of its state in the order of [`TensorRule::state`], all of the shapes that they have.
    /// `step` counts the steps in which the parameter had a gradient, this one too.
    ///
    /// # Errors
    /// Those of the ops.
    fn update(
        &self,
        w: &Tensor,
        gradient: &Tensor,
        state: &[&Tensor],
        step: u64,
    ) -> wgrad_autograd::Result<(Tensor, Vec<Tensor>)>;

    /// The learning rate.
    fn lr(&self) -> f64;

    /// Changes the learning rate.
    fn set_lr(&mut self, lr: f64);

    /// Fails, with what is wrong, for options that make no sense. Learning rates are checked elsewhere.
    ///
    /// # Errors
    /// The message.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// An optimizer that follows a rule made of tensor ops: a step is some launches for each parameter.
pub struct TensorOptim<R: TensorRule> {
    groups: Groups<R>,
    state: OptimizerState,
}

impl<R: TensorRule> TensorOptim<R> {
    /// For these parameters.
    ///
    /// # Errors
    /// [`Error::Options`] for options that make no sense, [`Error::Op`].
    pub fn new(parameters: &Parameters, options: R) -> Result<Self> {
        check_rule(&options)?;
        let groups = Groups::new(options, parameters.entries().len());
        let mut optimizer = Self { groups, state: OptimizerState::new(parameters, &[])? };
        optimizer.lay_out()?;
        Ok(optimizer)
    }

    /// Gives each parameter the state that its options ask for, new where it has another.
    fn lay_out(&mut self) -> Result<()> {
        let parameters = self.state.parameters().clone();
        let kept = self.state.kept().to_vec();
        let wanted = self.layouts().into_iter().zip(parameters.entries()).enumerate();
        for (i, (wanted, _)) in wanted.filter(|(_, (_, entry))| kept[entry.flat]) {
            let own = self.state.tensors_of(i).iter();
            let is_there = own.map(|(name, tensor)| (*name, tensor.shape()));
            if !is_there.eq(wanted.iter().map(|(name, shape)| (*name, shape.as_slice()))) {
                let zeros =
                    |(name, shape): (_, Vec<usize>)| Ok((name, Tensor::zeros(parameters.gpu(), &shape)?));
                let tensors = wanted.into_iter().map(zeros).collect::<Result<Named>>()?;
                self.state.set_tensors_of(i, tensors);
            }
        }
        Ok(())
    }

    /// The options of parameters that are in no group of their own.
    pub fn options(&self) -> &R {
        self.groups.first()
    }

    /// Gives the parameters whose names are like `pattern` options of their own, as [`Optim::group`](super::Optim::group) does.
    /// Where these ask for another state, it starts anew.
    ///
    /// # Errors
    /// As [`Optim::group`](super::Optim::group).
    pub fn group(&mut self, pattern: &str, change: impl FnOnce(&mut R)) -> Result<()> {
        let mut rule = self.options().clone();
        change(&mut rule);
        check_rule(&rule)?;
        let rates = [rule.lr(), self.lr()];
        let before = self.layouts();
        self.groups.add(R::NAME, self.state.parameters().entries(), pattern, rule, rates)?;
        // A state that starts anew counts its steps anew: its bias correction is that of a first step. On every rank that shares it.
        for (i, (before, after)) in before.iter().zip(self.layouts()).enumerate() {
            if *before != after {
                self.state.counts[i] = 0;
            }
        }
        self.lay_out()
    }

    /// Names and shapes of what each parameter's options ask for.
    fn layouts(&self) -> Vec<Vec<(&'static str, Vec<usize>)>> {
        let entries = self.state.parameters().entries().iter().enumerate();
        entries.map(|(i, entry)| self.groups.rule(i).state(entry.tensor.shape())).collect()
    }

    /// The new values of a parameter and of its state, each with the place that it goes to.
    fn step_of(&self, parameter: usize, gradients: &Gradients) -> Result<()> {
        let entry = &self.state.parameters().entries()[parameter];
        let (w, gradient) = (entry.tensor.detach(), entry.view_of(&gradients.flats()[entry.flat])?);
        let state: Vec<&Tensor> = self.state.tensors_of(parameter).iter().map(|(_, tensor)| tensor).collect();
        let step = self.state.count(parameter).saturating_add(1);
        let rule = self.groups.rule(parameter);
        let (new, states) = no_grad(|| rule.update(&w, &gradient, &state, step))?;
        let fits = new.shape() == w.shape()
            && states.iter().map(Tensor::shape).eq(state.iter().map(|tensor| tensor.shape()));
        if !fits {
            let message = format!("update() of {} gave tensors of other shapes than it got", entry.name);
            return Err(Error::Options { what: R::NAME, message });
        }
        let places: Vec<&Tensor> = std::iter::once(&w).chain(state).collect();
        // Copied before anything is written: what a rule gives may be what it got, as a history of gradients is.
        let apart = |tensor: &Tensor| -> Result<Tensor> {
            let tensor = tensor.contiguous()?;
            let is_old = places.iter().any(|old| old.bind().buffer.id() == tensor.bind().buffer.id());
            Ok(if is_old { tensor.mul_add_scalar(1.0, -0.0)? } else { tensor })
        };
        let values = std::iter::once(&new).chain(&states).map(apart).collect::<Result<Vec<_>>>()?;
        values.iter().zip(&places).try_for_each(|(from, to)| assign(from, to))
    }
}

fn check_rule<R: TensorRule>(rule: &R) -> Result<()> {
    check_lr(R::NAME, rule.lr())?;
    rule.check().map_err(|message| Error::Options { what: R::NAME, message })
}

impl<R: TensorRule> Optimizer for TensorOptim<R> {
    fn step(&mut self, gradients: &Gradients) -> Result<()> {
        self.groups.rules().try_for_each(|rule| check_lr(R::NAME, rule.lr()))?;
        let takes_part = self.state.takes_part(gradients)?;
        let entries = self.state.parameters().entries();
        let kept = self.state.kept();
        let changed = |&i: &usize| takes_part[i] && kept[entries[i].flat] && !entries[i].tensor.is_empty();
        (0..entries.len()).filter(changed).try_for_each(|i| self.step_of(i, gradients))?;
        self.state.count_step(&takes_part);
        Ok(())
    }

    fn lr(&self) -> f64 {
        self.options().lr()
    }

    fn set_lr(&mut self, lr: f64) {
        self.groups.set_lr(lr, R::set_lr);
    }

    fn state(&self) -> &OptimizerState {
        &self.state
    }

    fn state_mut(&mut self) -> &mut OptimizerState {
        &mut self.state
    }
}

/// The 2-norm of all elements, a scalar.
pub(super) fn norm(x: &Tensor) -> wgrad_autograd::Result<Tensor> {
    x.reshape(&[x.numel()])?.norm(&[0])
}

/// `a·x + b·y`.
pub(super) fn mix(a: f64, x: &Tensor, b: f64, y: &Tensor) -> wgrad_autograd::Result<Tensor> {
    x.mul_add_scalar(a as f32, -0.0)?.add(&y.mul_add_scalar(b as f32, -0.0)?)
}

/// One step of Adam's means and the direction that they give, `m / (1 - β1ᵗ) / (√(v / (1 - β2ᵗ)) + eps)`.
pub(super) fn adam_direction(
    gradient: &Tensor,
    state: &[&Tensor],
    step: u64,
    [beta1, beta2]: [f64; 2],
    eps: f64,
) -> wgrad_autograd::Result<(Tensor, Vec<Tensor>)> {
    let mean = mix(beta1, state[0], 1.0 - beta1, gradient)?;
    let square = mix(beta2, state[1], 1.0 - beta2, &gradient.square()?)?;
    let correction = |beta: f64| 1.0 - beta.powf(step as f64);
    let root = square
        .mul_add_scalar((1.0 / correction(beta2)) as f32, 0.0)?
        .sqrt()?
        .mul_add_scalar(1.0, eps as f32)?;
    let direction = mean.mul_add_scalar((1.0 / correction(beta1)) as f32, -0.0)?.div(&root)?;
    Ok((direction, vec![mean, square]))
}
