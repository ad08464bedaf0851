//! A multilayer perceptron.

use wgrad_autograd::{Activation, Tensor};

use crate::{Builder, Linear, Mode, Module, Result};

/// The sizes of an [`Mlp`]. The default is the one that MNIST's programs begin with: 784-256-128-10, with ReLUs.
#[derive(Clone, Debug, PartialEq)]
pub struct MlpOptions {
    /// Numbers of a sample.
    pub inputs: usize,
    /// Neurons of each hidden layer; none for a single layer.
    pub hidden: Vec<usize>,
    /// Numbers that come out for a sample.
    pub outputs: usize,
    /// What follows each hidden layer.
    pub activation: Activation,
    /// What follows the last layer.
    pub output_activation: Activation,
}

impl Default for MlpOptions {
    fn default() -> Self {
        Self {
            inputs: 784,
            hidden: vec![256, 128],
            outputs: 10,
            activation: Activation::Relu,
            output_activation: Activation::None,
        }
    }
}

/// Linear layers with an activation after each: `fc1`, `fc2` and so on.
///
/// Shape: `[n, ..]`, whose axes but the first are flattened, to `[n, outputs]`.
pub struct Mlp(Vec<Linear>);

impl Mlp {
    /// The model under the name of `builder`, with PyTorch's default initialisation.
    pub fn new(builder: &Builder, options: &MlpOptions) -> Self {
        let outputs = options.hidden.iter().chain([&options.outputs]);
        let inputs = [&options.inputs].into_iter().chain(&options.hidden);
        let layers = inputs.zip(outputs).enumerate().map(|(i, (&inputs, &outputs))| {
            let is_last = i == options.hidden.len();
            let activation = if is_last { options.output_activation } else { options.activation };
            let scope = builder.scope(format!("fc{}", i + 1));
            Linear::new(&scope, inputs, outputs).with_activation(activation)
        });
        Self(layers.collect())
    }

    /// The output for `x`.
    ///
    /// # Errors
    /// [`crate::Error::Layer`] if `x` does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = if x.shape().len() > 2 { x.flatten(1)? } else { x.clone() };
        self.0.iter().try_fold(x, |x, layer| layer.forward(&x))
    }
}

impl Module for Mlp {
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        self.forward(x)
    }
}
