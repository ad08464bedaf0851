//! Elementwise ops of one operand. Each is two lines of WGSL in `shaders/elementwise/unary/`, an entry of the table and
//! a method.

use wgrad_device::shaders::{self, File, Kernel};

use crate::launch::launch;
use crate::{Error, Op, Result, Tensor};

/// What the derivative is a function of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Saves {
    Input,
    Output,
    /// It is constant: whatever lies at hand is bound.
    Nothing,
}

struct Unary {
    name: &'static str,
    /// Declares `f` and its derivative `df`.
    file: &'static File,
    saves: Saves,
}

macro_rules! table {
    ($($ident:ident = $name:literal $file:ident $saves:ident;)*) => {
        $(static $ident: Unary = Unary {
            name: $name,
            file: &shaders::$file,
            saves: Saves::$saves,
        };)*
    };
}

table! {
    NEG = "neg" UNARY_NEG Nothing;
    EXP = "exp" UNARY_EXP Output;
    EXPM1 = "expm1" UNARY_EXPM1 Output;
    LOG = "log" UNARY_LOG Input;
    LOG1P = "log1p" UNARY_LOG1P Input;
    SQRT = "sqrt" UNARY_SQRT Output;
    SQUARE = "square" UNARY_SQUARE Input;
    ABS = "abs" UNARY_ABS Input;
    RELU = "relu" UNARY_RELU Output;
    SIGMOID = "sigmoid" UNARY_SIGMOID Output;
    TANH = "tanh" UNARY_TANH Output;
    SOFTPLUS = "softplus" UNARY_SOFTPLUS Input;
    GELU = "gelu" UNARY_GELU Input;
    CLAMP = "clamp" UNARY_CLAMP Input;
    AFFINE = "affine" UNARY_AFFINE Nothing;
}

struct UnaryOp {
    op: &'static Unary,
    saved: Option<Tensor>,
    a: f32,
    b: f32,
}

impl UnaryOp {
    fn input_grad(&self, dy: &Tensor) -> Result<Tensor> {
        let dx = Tensor::empty(dy.gpu(), dy.shape())?;
        let n4 = dy.numel().div_ceil(4);
        let saved = self.saved.as_ref().unwrap_or(dy);
        launch(dy.gpu(), Kernel::new(&shaders::UNARY_BACKWARD, "unary_backward").with(self.op.file))
            .bind_all([("saved", saved.bind_padded()), ("dy", dy.bind_padded()), ("dx", dx.bind_padded())])
            .set("n4", n4)
            .set_all_f32([("a", self.a), ("b", self.b)])
            .threads(n4)
            .enqueue()?;
        Ok(dx)
    }
}

impl Op for UnaryOp {
    fn name(&self) -> &'static str {
        self.op.name
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(self.input_grad(dy)?)])
    }
}

/// The gradient of a ReLU's input, by its output and the gradient of that.
pub(crate) fn relu_backward(y: &Tensor, dy: &Tensor) -> Result<Tensor> {
    UnaryOp { op: &RELU, saved: Some(y.clone()), a: 0.0, b: 0.0 }.input_grad(dy)
}

impl Tensor {
    fn unary(&self, op: &'static Unary, a: f32, b: f32) -> Result<Tensor> {
        let y = Tensor::empty(self.gpu(), self.shape())?;
        let n4 = self.numel().div_ceil(4);
        launch(self.gpu(), Kernel::new(&shaders::UNARY_FORWARD, "unary_forward").with(op.file))
            .bind_all([("x", self.bind_padded()), ("y", y.bind_padded())])
            .set("n4", n4)
            .set_all_f32([("a", a), ("b", b)])
            .threads(n4)
            .enqueue()?;
        let saved = match op.saves {
            Saves::Input => Some(self.detach()),
            Saves::Output => Some(y.detach()),
            Saves::Nothing => None,
        };
        Ok(y.with_op(&[self], || UnaryOp { op, saved, a, b }))
    }

    /// `-x`. Shape: any, kept.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn neg(&self) -> Result<Tensor> {
        self.unary(&NEG, 0.0, 0.0)
    }

    /// `e^x`. Shape: any, kept.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn exp(&self) -> Result<Tensor> {
        self.unary(&EXP, 0.0, 0.0)
    }

    /// `e^x - 1`, to full accuracy near 0. Shape: any, kept.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn expm1(&self) -> Result<Tensor> {
        self.unary(&EXPM1, 0.0, 0.0)
    }

    /// Natural logarithm, to full accuracy near 1. Shape: any, kept. It is -inf at 0 and NaN below, as in PyTorch.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn log(&self) -> Result<Tensor> {
        self.unary(&LOG, 0.0, 0.0)
    }

    /// `ln(1 + x)`, to full accuracy near 0. Shape: any, kept. It is -inf at -1 and NaN below, as in PyTorch.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn log1p(&self) -> Result<Tensor> {
        self.unary(&LOG1P, 0.0, 0.0)
    }

    /// Square root. Shape: any, kept. It is NaN below 0, as in PyTorch.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn sqrt(&self) -> Result<Tensor> {
        self.unary(&SQRT, 0.0, 0.0)
    }

    /// `x²`. Shape: any, kept.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn square(&self) -> Result<Tensor> {
        self.unary(&SQUARE, 0.0, 0.0)
    }

    /// `|x|`, with derivative 0 at 0 and at NaN. Shape: any, kept.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn abs(&self) -> Result<Tensor> {
        self.unary(&ABS, 0.0, 0.0)
    }

    /// `max(x, 0)`, with derivative 0 at 0. Shape: any, kept. NaN stays NaN and passes the gradient on, as in PyTorch.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn relu(&self) -> Result<Tensor> {
        self.unary(&RELU, 0.0, 0.0)
    }

    /// `1 / (1 + e^-x)`. Shape: any, kept.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn sigmoid(&self) -> Result<Tensor> {
        self.unary(&SIGMOID, 0.0, 0.0)
    }

    /// Hyperbolic tangent, to full accuracy near 0. Shape: any, kept.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn tanh(&self) -> Result<Tensor> {
        self.unary(&TANH, 0.0, 0.0)
    }

    /// `ln(1 + e^x)`, to full accuracy where it is small. Shape: any, kept.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn softplus(&self) -> Result<Tensor> {
        self.unary(&SOFTPLUS, 0.0, 0.0)
    }

    /// `x·Φ(x)` with the normal distribution function Φ: the exact form, PyTorch's default. Shape: any, kept.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn gelu(&self) -> Result<Tensor> {
        self.unary(&GELU, 0.0, 0.0)
    }

    /// `min(max(x, low), high)`. Shape: any, kept. The derivative is 1 between the bounds and 0 elsewhere, on the bounds
    /// too, as in PyTorch 2.15. NaN stays NaN, with derivative 0.
    ///
    /// # Errors
    /// [`Error::Shape`] unless `low ≤ high`, [`Error::Device`].
    pub fn clamp(&self, low: f32, high: f32) -> Result<Tensor> {
        if low > high || low.is_nan() || high.is_nan() {
            return Err(Error::shape(
                "clamp",
                format!("the lower bound {low} is not at most the upper bound {high}"),
            ));
        }
        self.unary(&CLAMP, low, high)
    }

    /// `scale·x + shift`. Shape: any, kept.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn mul_add_scalar(&self, scale: f32, shift: f32) -> Result<Tensor> {
        self.unary(&AFFINE, scale, shift)
    }
}
