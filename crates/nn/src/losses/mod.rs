//! Losses, as functions of tensors, under the names of `torch.nn.functional`.
//!
//! Each has its options in a small struct whose default is PyTorch's, and a [`Reduction`] among them or behind it. Floats of any
//! type go in; losses are computed in f32, and are f32.
//!
//! ```no_run
//! use wgrad_nn::autograd::{Gpu, Tensor};
//! use wgrad_nn::losses::{self, CrossEntropyOptions, Reduction, Weights};
//!
//! let gpu = Gpu::new()?;
//! let logits = Tensor::zeros(&gpu, &[2, 3])?.tracked();
//! let labels = Tensor::from_slice(&gpu, &[2, 0], &[2])?;
//! let weight = Some(Weights::new(&gpu, &[1.0, 2.0, 0.5])?);
//! let options = CrossEntropyOptions { weight, label_smoothing: 0.1, ..Default::default() };
//! let loss = losses::cross_entropy(&logits, &labels, &options)?;
//! let gradients = loss.backward()?;
//!
//! let each = losses::mse(&logits, &Tensor::zeros(&gpu, &[2, 3])?, Reduction::None)?;
//! assert_eq!(each.shape(), [2, 3]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod binary;
mod classes;
mod cross_entropy;
mod pairs;
mod regression;

pub use binary::{
    BceOptions, BceWithLogitsOptions, DiceOptions, SigmoidFocalOptions, bce, bce_with_logits, dice,
    sigmoid_focal,
};
pub use classes::{MultiMarginOptions, SoftmaxFocalOptions, multi_margin, softmax_focal};
pub use cross_entropy::{CrossEntropyOptions, NllOptions, cross_entropy, nll};
pub use pairs::{
    CosineEmbeddingOptions, HingeEmbeddingOptions, TripletMarginOptions, cosine_embedding, hinge_embedding,
    triplet_margin,
};
pub use regression::{
    HuberOptions, KlDivOptions, KlDivReduction, SmoothL1Options, huber, kl_div, l1, mse, smooth_l1,
};
use wgrad_autograd::{DType, Error, Gpu, Result, Tensor};

/// What becomes of the losses of single elements or rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// Their mean, a scalar.
    #[default]
    Mean,
    /// Their sum, a scalar.
    Sum,
    /// Nothing: they come back as they are.
    None,
}

impl Reduction {
    fn of(self, losses: &Tensor) -> Result<Tensor> {
        match self {
            Self::Mean => losses.mean_all(),
            Self::Sum => losses.sum_all(),
            Self::None => Ok(losses.clone()),
        }
    }
}

/// Factors of a loss, one a class: finite, and at least 0. Uploaded once, so make them before the training loop.
#[derive(Clone, Debug)]
pub struct Weights(Tensor);

impl Weights {
    /// One factor for each class.
    ///
    /// # Errors
    /// [`Error::Shape`] for none at all, or one that is negative or not finite; [`Error::Device`].
    pub fn new(gpu: &Gpu, values: &[f32]) -> Result<Self> {
        let wrong = values.iter().find(|value| !(value.is_finite() && **value >= 0.0));
        if let Some(value) = wrong {
            return Err(Error::shape(
                "weights",
                format!("a weight of {value}: all are finite and at least 0"),
            ));
        }
        if values.is_empty() {
            return Err(Error::shape("weights", "no weights: there is one for each class"));
        }
        Ok(Self(Tensor::from_slice(gpu, values, &[values.len()])?))
    }

    /// The factors, `[classes]`.
    pub fn tensor(&self) -> &Tensor {
        &self.0
    }

    /// The factors, checked to be as many as there are classes.
    fn of(&self, op: &'static str, classes: usize) -> Result<&Tensor> {
        if self.0.numel() == classes {
            return Ok(&self.0);
        }
        Err(Error::shape(
            op,
            format!("{} weights for {classes} classes: there is one for each", self.0.numel()),
        ))
    }
}

/// `x` as f32, where it holds floats.
fn floats(op: &'static str, x: &Tensor) -> Result<Tensor> {
    if x.dtype().is_float() {
        return x.to_dtype(DType::F32);
    }
    let message =
        format!("a tensor {:?} of {}: it takes floats; convert it with to_dtype first", x.shape(), x.dtype());
    Err(Error::DType { op, message })
}

/// Both as f32, where they hold floats and have one shape.
fn alike(op: &'static str, x: &Tensor, target: &Tensor) -> Result<[Tensor; 2]> {
    if x.shape() != target.shape() {
        let message = format!("prediction {:?} and target {:?} differ in shape", x.shape(), target.shape());
        return Err(Error::shape(op, message));
    }
    Ok([floats(op, x)?, floats(op, target)?])
}

/// Fails unless an option is finite and at least `least`.
fn check_option(op: &'static str, name: &str, value: f32, least: f32) -> Result<()> {
    if value.is_finite() && value >= least {
        return Ok(());
    }
    Err(Error::shape(op, format!("{name} {value}: it is finite and at least {least}")))
}

/// `1 - x`.
fn one_minus(x: &Tensor) -> Result<Tensor> {
    x.mul_add_scalar(-1.0, 1.0)
}

/// 1 where `x` is `value`, and 0 elsewhere, f32.
fn is(x: &Tensor, value: f32) -> Result<Tensor> {
    x.equal(&Tensor::full(x.gpu(), &[], value)?)
}

/// 0 where `x` is `value`, and 1 elsewhere, f32.
fn is_not(x: &Tensor, value: f32) -> Result<Tensor> {
    one_minus(&is(x, value)?)
}
