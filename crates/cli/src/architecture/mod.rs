//! Architectures: what a model file and a configuration say of a model, and the model made of it.

mod layers;

use std::fmt;

use serde::{Deserialize, Serialize};
use wgrad::Gpu;
use wgrad::nn::models::{Cnn, CnnOptions, Mlp, MlpOptions, Resnet9, Resnet9Options};
use wgrad::nn::{self, Activation, BuildOptions, Linear, Module, Parameters};

pub use layers::{Layer, Summary};

use crate::Result;

/// Sizes beyond these are refused before anything is made of them.
const MAX_SIZE: usize = 1 << 24;
const MAX_SIDE: usize = 4096;
const MAX_LAYERS: usize = 64;
const MAX_PARAMETERS: u64 = 1 << 31;

/// The name of an [`Activation`] in files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "each is the activation of its name")]
pub enum ActivationName {
    #[default]
    None,
    Relu,
    Gelu,
    Silu,
    Tanh,
    Sigmoid,
}

impl From<ActivationName> for Activation {
    fn from(name: ActivationName) -> Self {
        match name {
            ActivationName::None => Self::None,
            ActivationName::Relu => Self::Relu,
            ActivationName::Gelu => Self::Gelu,
            ActivationName::Silu => Self::Silu,
            ActivationName::Tanh => Self::Tanh,
            ActivationName::Sigmoid => Self::Sigmoid,
        }
    }
}

/// A model's kind and sizes. Its JSON stands in the metadata of a model file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Architecture {
    /// One linear layer, `torch.nn.Linear`, with parameters `weight` and `bias`.
    Linear {
        /// Numbers of a sample.
        inputs: usize,
        /// Numbers that come out.
        outputs: usize,
        /// What follows.
        output_activation: ActivationName,
    },
    /// An [`Mlp`].
    Mlp {
        /// Numbers of a sample.
        inputs: usize,
        /// Neurons of each hidden layer.
        hidden: Vec<usize>,
        /// Numbers that come out.
        outputs: usize,
        /// What follows hidden layers.
        activation: ActivationName,
        /// What follows the last layer.
        output_activation: ActivationName,
    },
    /// A [`Cnn`].
    Cnn {
        /// Planes of an image.
        channels: usize,
        /// Rows and columns of an image.
        size: [usize; 2],
        /// Channels of each convolution.
        widths: Vec<usize>,
        /// Numbers that come out.
        classes: usize,
    },
    /// A [`Resnet9`].
    Resnet9 {
        /// Planes of an image.
        channels: usize,
        /// Rows and columns of an image.
        size: [usize; 2],
        /// Channels of the first convolution.
        width: usize,
        /// Numbers that come out.
        classes: usize,
    },
}

impl Architecture {
    /// The name of the kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Linear { .. } => "linear",
            Self::Mlp { .. } => "mlp",
            Self::Cnn { .. } => "cnn",
            Self::Resnet9 { .. } => "resnet9",
        }
    }

    /// The shape of one input, without the axis of the batch.
    pub fn input(&self) -> Vec<usize> {
        match self {
            Self::Linear { inputs, .. } | Self::Mlp { inputs, .. } => vec![*inputs],
            Self::Cnn { channels, size: [h, w], .. } | Self::Resnet9 { channels, size: [h, w], .. } => {
                vec![*channels, *h, *w]
            }
        }
    }

    /// Numbers that come out for an input.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Linear { outputs, .. } | Self::Mlp { outputs, .. } => *outputs,
            Self::Cnn { classes, .. } | Self::Resnet9 { classes, .. } => *classes,
        }
    }

    /// What follows the last layer.
    pub fn output_activation(&self) -> ActivationName {
        match self {
            Self::Linear { output_activation, .. } | Self::Mlp { output_activation, .. } => {
                *output_activation
            }
            Self::Cnn { .. } | Self::Resnet9 { .. } => ActivationName::None,
        }
    }

    /// Fails, with what is wrong, for sizes that make no model, or one beyond all bounds.
    ///
    /// # Errors
    /// The message.
    pub fn check(&self) -> Result<(), String> {
        let mut sizes = self.input();
        sizes.push(self.outputs());
        match self {
            Self::Mlp { hidden: inner, .. } | Self::Cnn { widths: inner, .. } => {
                if inner.len() > MAX_LAYERS {
                    return Err(format!("{} layers: at most {MAX_LAYERS}", inner.len()));
                }
                sizes.extend(inner);
            }
            Self::Resnet9 { width, .. } => sizes.push(*width),
            Self::Linear { .. } => {}
        }
        if let Some(size) = sizes.iter().find(|size| **size == 0 || **size > MAX_SIZE) {
            return Err(format!("a size of {size}: sizes are 1 to {MAX_SIZE}"));
        }
        self.check_sides()?;
        let parameters = self.summary().parameters;
        if parameters > MAX_PARAMETERS {
            return Err(format!("{parameters} parameters: at most {MAX_PARAMETERS}"));
        }
        Ok(())
    }

    /// Something must be left of an image behind the last pooling.
    fn check_sides(&self) -> Result<(), String> {
        let (size, halvings) = match self {
            Self::Cnn { size, widths, .. } => (size, widths.len() as u32),
            Self::Resnet9 { size, .. } => (size, 3),
            Self::Linear { .. } | Self::Mlp { .. } => return Ok(()),
        };
        let [h, w] = *size;
        if h.max(w) > MAX_SIDE {
            return Err(format!("images of {h} × {w} pixels: at most {MAX_SIDE} × {MAX_SIDE}"));
        }
        if h.min(w).checked_shr(halvings).unwrap_or(0) == 0 {
            let message = "each pooling halves them: take larger images or fewer widths";
            return Err(format!("images of {h} × {w} pixels and {halvings} poolings: {message}"));
        }
        Ok(())
    }

    /// The model on `gpu`, its parameters drawn from `seed`.
    ///
    /// # Errors
    /// [`crate::Error::Usage`] as [`Architecture::check`] has it, and what the device reports.
    pub fn build(&self, gpu: &Gpu, seed: u64) -> Result<(Box<dyn Module>, Parameters)> {
        self.build_with(gpu, seed, BuildOptions::default())
    }

    /// As [`Architecture::build`], for several ranks as the options say.
    ///
    /// # Errors
    /// As [`Architecture::build`].
    pub fn build_with(
        &self,
        gpu: &Gpu,
        seed: u64,
        options: BuildOptions,
    ) -> Result<(Box<dyn Module>, Parameters)> {
        self.check().map_err(|message| crate::Error::usage(format!("model {}: {message}", self.kind())))?;
        Ok(nn::build_with(gpu, seed, options, |b| -> Box<dyn Module> {
            match self.clone() {
                Self::Linear { inputs, outputs, output_activation } => {
                    Box::new(Linear::new(b, inputs, outputs).with_activation(output_activation.into()))
                }
                Self::Mlp { inputs, hidden, outputs, activation, output_activation } => {
                    let (activation, output_activation) = (activation.into(), output_activation.into());
                    let options = MlpOptions { inputs, hidden, outputs, activation, output_activation };
                    Box::new(Mlp::new(b, &options))
                }
                Self::Cnn { channels, size, widths, classes } => {
                    Box::new(Cnn::new(b, &CnnOptions { channels, size, widths, classes }))
                }
                Self::Resnet9 { channels, width, classes, .. } => {
                    Box::new(Resnet9::new(b, Resnet9Options { channels, width, classes }))
                }
            }
        })?)
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chain = |sizes: &[usize]| sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("-");
        match self {
            Self::Linear { inputs, outputs, .. } => write!(f, "linear {inputs}-{outputs}"),
            Self::Mlp { inputs, hidden, outputs, .. } => {
                write!(f, "mlp {}", chain(&[&[*inputs], &hidden[..], &[*outputs]].concat()))
            }
            Self::Cnn { channels, size: [h, w], widths, classes } => {
                write!(
                    f,
                    "cnn of {} channels for {channels}×{h}×{w} images, {classes} outputs",
                    chain(widths)
                )
            }
            Self::Resnet9 { channels, size: [h, w], width, classes } => {
                write!(f, "resnet9 of width {width} for {channels}×{h}×{w} images, {classes} outputs")
            }
        }
    }
}
