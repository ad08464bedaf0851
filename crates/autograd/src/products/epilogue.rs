//! What follows a product in the same kernel: bias, a residual, an activation (`shaders/products/epilogue.wgsl`).

use wgrad_device::shaders::{self, File, Kernel};
use wgrad_device::{Launch, View};

use super::operand::images;
use crate::graph::is_recording;
use crate::ops::argmax_mask::ArgmaxMask;
use crate::ops::unary::{self, Unary};
use crate::{DType, Error, Pool2dOptions, Result, Tensor};

/// An elementwise function behind a product or layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Activation {
    /// None: the values stay as they are.
    #[default]
    None,
    /// `max(x, 0)`: [`Tensor::relu`].
    Relu,
    /// `x·Φ(x)`: [`Tensor::gelu`].
    Gelu,
    /// `x·σ(x)`: [`Tensor::silu`].
    Silu,
    /// Hyperbolic tangent: [`Tensor::tanh`].
    Tanh,
    /// `1 / (1 + e^-x)`: [`Tensor::sigmoid`].
    Sigmoid,
}

impl Activation {
    /// The activation of these values.
    ///
    /// # Errors
    /// [`Error::DType`] for integers, [`Error::Device`].
    pub fn apply(self, x: &Tensor) -> Result<Tensor> {
        self.function().map_or_else(|| Ok(x.clone()), |f| x.unary(f, 0.0, 0.0))
    }

    fn function(self) -> Option<&'static Unary> {
        match self {
            Self::None => None,
            Self::Relu => Some(&unary::RELU),
            Self::Gelu => Some(&unary::GELU),
            Self::Silu => Some(&unary::SILU),
            Self::Tanh => Some(&unary::TANH),
            Self::Sigmoid => Some(&unary::SIGMOID),
        }
    }

    /// Whether its gradient follows from its output. Where it does not, it needs its input, which a fused kernel never writes.
    pub(super) fn has_gradient_by_output(self) -> bool {
        self.function().is_none_or(Unary::saves_output)
    }

    /// The gradient of its input by its output and the gradient of that.
    pub(super) fn gradient_by_output(self, y: &Tensor, dy: &Tensor) -> Result<Tensor> {
        self.function().map_or_else(|| Ok(dy.clone()), |f| f.gradient_by_output(y, dy))
    }

    /// As `gradient_by_output`, recorded.
    pub(super) fn recorded_gradient_by_output(self, y: &Tensor, dy: &Tensor) -> Result<Tensor> {
        self.function().map_or_else(|| Ok(dy.clone()), |f| f.recorded_gradient_by_output(y, dy))
    }

    /// The file of its function: that of a ReLU stands for none too, and is left out by a number.
    fn file(self) -> &'static File {
        self.function().unwrap_or(&unary::RELU).file()
    }
}

/// What follows a product in the same op, in this order: the residual is added, the activation applied, and of convolutions the
/// maxima taken; options of [`Tensor::linear_with`] and [`Tensor::conv2d_with`].
///
/// Where the product's kernel can do it on the way, what lies in between is never written; elsewhere it takes kernels of its own.
/// Either way the values are those of separate ops. GELU and SiLU, whose gradients need their input, take kernels of their own
/// where gradients are tracked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// An elementwise function of the sum.
    pub activation: Activation,
    /// A tensor of the output's shape and type, added before the activation, as in residual networks.
    pub residual: Option<&'a Tensor>,
    /// Max pooling over 2 × 2 windows of a convolution's output; the first of equal maxima gets the gradient.
    pub max_pool: bool,
    /// The output's type, f32 or f16. `None` gives the operands' type. Sums are always made in f32.
    pub out_dtype: Option<DType>,
}

impl Epilogue<'_> {
    /// Fails unless the residual has the output's shape and type.
    pub(super) fn check(&self, op: &'static str, shape: &[usize], dtype: DType) -> Result<()> {
        let Some(residual) = self.residual else { return Ok(()) };
        if residual.shape() != shape {
            return Err(Error::shape(op, format!("residual {:?} for an output {shape:?}", residual.shape())));
        }
        if residual.dtype() != dtype {
            let message = format!("residual {shape:?} of {} for an output of {dtype}", residual.dtype());
            return Err(Error::DType { op, message });
        }
        Ok(())
    }

    /// The activation that the kernel applies on the way, and the one that is left to an op of its own.
    pub(super) fn split(&self, inputs: &[&Tensor]) -> (Activation, Activation) {
        if self.activation.has_gradient_by_output() || !is_recording(inputs) {
            (self.activation, Activation::None)
        } else {
            (Activation::None, self.activation)
        }
    }

    /// All of it by ops of their own.
    pub(super) fn apply(&self, y: &Tensor) -> Result<Tensor> {
        let y = match self.residual {
            Some(residual) => y.add(residual)?,
            None => y.clone(),
        };
        let pool = |y: &Tensor| y.max_pool2d(Pool2dOptions::square(2));
        match self.max_pool {
            // Before the ReLU, which keeps the order of values: the same, and less work.
            true if self.activation == Activation::Relu => pool(&y)?.relu(),
            true => pool(&self.activation.apply(&y)?),
            false => self.activation.apply(&y),
        }
    }

    /// The epilogue that applies a ReLU and does nothing else.
    pub fn relu() -> Self {
        Self { activation: Activation::Relu, ..Self::default() }
    }
}

/// A bias added to a product.
#[derive(Clone, Default)]
pub(super) enum Bias {
    #[default]
    None,
    /// One value a row of C, `[batches · m]`: a convolution's.
    Row(View),
    /// One value a column of C, `[n]`: a linear layer's.
    Col(View),
}

impl Bias {
    /// As kernels know it.
    fn index(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Row(_) => 1,
            Self::Col(_) => 2,
        }
    }

    /// What is left of it for a product that begins at this column.
    pub fn columns_from(&self, first: usize) -> Self {
        let Self::Col(view) = self else { return self.clone() };
        let bytes = first as u64 * 4;
        Self::Col(view.buffer.view(view.offset + bytes, view.size - bytes))
    }

    fn view(&self) -> Option<&View> {
        match self {
            Self::None => None,
            Self::Row(view) | Self::Col(view) => Some(view),
        }
    }
}

/// The epilogue of one kernel, as plain data.
#[derive(Clone, Default)]
pub(super) struct FusedEpilogue {
    pub bias: Bias,
    pub activation: Activation,
    /// Laid out as the output.
    pub residual: Option<View>,
}

/// How a kernel stores its output: by single elements or by four.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    One,
    Four,
}

impl FusedEpilogue {
    /// The kernel with the files that declare this epilogue.
    pub fn choose(&self, kernel: Kernel<'static>) -> Kernel<'static> {
        let residual = if self.residual.is_some() { &shaders::RESIDUAL_ADD } else { &shaders::RESIDUAL_NONE };
        kernel.with(self.activation.file()).with(residual)
    }

    /// Binds and sets what these files need, for an output of type `out`. Where there is no bias, `anything` that is only read
    /// is bound in its place.
    pub fn bind<'a>(&self, launch: Launch<'a>, out: DType, width: Width, anything: &View) -> Launch<'a> {
        let launch = launch
            .bind("bias", self.bias.view().unwrap_or(anything).clone())
            .set_all([("bias_of", self.bias.index())])
            .set("activate", usize::from(self.activation != Activation::None));
        let Some(residual) = &self.residual else { return launch };
        let (stored, computed) = match width {
            Width::One => (out.wgsl(), "f32"),
            Width::Four => (out.wgsl4(), "vec4<f32>"),
        };
        launch.alias("Residual", stored).alias("Computed", computed).bind("residual", residual.clone())
    }
}

/// What a convolution writes, and what it does on the way.
#[derive(Clone, Copy)]
pub(super) struct ConvOutput<'a> {
    /// `[channels]`, f32.
    pub bias: Option<&'a Tensor>,
    pub activation: Activation,
    pub residual: Option<&'a Tensor>,
    /// Which pixel of each of y's windows was its maximum, where it is pooled.
    pub mask: Option<&'a ArgmaxMask>,
    pub y: &'a Tensor,
}

impl<'a> ConvOutput<'a> {
    /// A convolution that nothing follows.
    pub fn plain(y: &'a Tensor) -> Self {
        Self { bias: None, activation: Activation::None, residual: None, mask: None, y }
    }

    /// The epilogue of the kernel that writes images `first..first + count`.
    pub fn fused(&self, first: usize, count: usize) -> FusedEpilogue {
        FusedEpilogue {
            bias: self.bias.map_or(Bias::None, |bias| Bias::Row(bias.bind_padded())),
            activation: self.activation,
            residual: self.residual.map(|residual| images(residual, first, count)),
        }
    }
}
