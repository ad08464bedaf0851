//! One step of each optimizer over flat parameters, by PyTorch's formulas.

/// Settings of [`sgd`].
#[derive(Clone, Copy, Debug)]
pub struct SgdParams {
    /// Learning rate.
    pub lr: f64,
    /// Share of the last step's velocity that is kept.
    pub momentum: f64,
    /// Whether to look ahead along the velocity. It takes a momentum above zero.
    pub nesterov: bool,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
}

/// Stochastic gradient descent. `velocity` starts at zeros and is PyTorch's `momentum_buffer`.
///
/// # Panics
/// Where the lengths differ.
#[track_caller]
pub fn sgd(params: &mut [f64], grads: &[f64], velocity: &mut [f64], settings: &SgdParams) {
    assert_eq!([grads.len(), velocity.len()], [params.len(); 2], "gradients and state match the parameters");
    for ((p, &g), v) in params.iter_mut().zip(grads).zip(velocity) {
        let g = g + settings.weight_decay * *p;
        *v = settings.momentum * *v + g;
        let direction = if settings.nesterov { g + settings.momentum * *v } else { *v };
        *p -= settings.lr * direction;
    }
}

/// Settings of [`adam`] and [`adamw`].
#[derive(Clone, Copy, Debug)]
pub struct AdamParams {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the mean and of the mean square of the gradient.
    pub betas: [f64; 2],
    /// Added to the root of the mean square.
    pub eps: f64,
    /// L2 penalty in [`adam`], decay of the parameters themselves in [`adamw`].
    pub weight_decay: f64,
}

/// What [`adam`] and [`adamw`] carry from step to step.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamState {
    /// Steps taken.
    pub step: i32,
    /// Moving mean of the gradient.
    pub exp_avg: Vec<f64>,
    /// Moving mean of the squared gradient.
    pub exp_avg_sq: Vec<f64>,
}

impl AdamState {
    /// The state before the first step, for `len` parameters.
    pub fn new(len: usize) -> Self {
        Self { step: 0, exp_avg: vec![0.0; len], exp_avg_sq: vec![0.0; len] }
    }

    #[track_caller]
    fn check(&self, params: &[f64], grads: &[f64]) {
        let lengths = [grads.len(), self.exp_avg.len(), self.exp_avg_sq.len()];
        assert_eq!(lengths, [params.len(); 3], "gradients and state match the parameters");
    }
}

/// Adam: the weight decay joins the gradient.
///
/// # Panics
/// Where the lengths differ.
#[track_caller]
pub fn adam(params: &mut [f64], grads: &[f64], state: &mut AdamState, settings: &AdamParams) {
    state.check(params, grads);
    let decay = settings.weight_decay;
    let penalised: Vec<f64> = grads.iter().zip(&*params).map(|(g, p)| g + decay * p).collect();
    adam_update(params, &penalised, state, settings);
}

/// AdamW: the weight decay shrinks the parameters and stays out of the moving means.
///
/// # Panics
/// Where the lengths differ.
#[track_caller]
pub fn adamw(params: &mut [f64], grads: &[f64], state: &mut AdamState, settings: &AdamParams) {
    state.check(params, grads);
    for p in params.iter_mut() {
        *p *= 1.0 - settings.lr * settings.weight_decay;
    }
    adam_update(params, grads, state, settings);
}

/// The step that both share.
fn adam_update(params: &mut [f64], grads: &[f64], state: &mut AdamState, settings: &AdamParams) {
    let [beta1, beta2] = settings.betas;
    state.step += 1;
    let correction1 = 1.0 - beta1.powi(state.step);
    let correction2 = 1.0 - beta2.powi(state.step);
    for (i, (p, &g)) in params.iter_mut().zip(grads).enumerate() {
        let (mean, square) = (&mut state.exp_avg[i], &mut state.exp_avg_sq[i]);
        *mean = beta1 * *mean + (1.0 - beta1) * g;
        *square = beta2 * *square + (1.0 - beta2) * g * g;
        *p -= settings.lr * (*mean / correction1) / ((*square / correction2).sqrt() + settings.eps);
    }
}
