//! Elementwise ops of one operand. Each is two lines of WGSL in `shaders/elementwise/unary/`, an entry of the table and
//! a method. They read views as they lie.

use wgrad_device::shaders::{self, File, Kernel};
use wgrad_device::{Gpu, Launch, View};

use crate::graph::{no_grad, saved_output};
use crate::launch::launch;
use crate::{DType, Error, Op, Result, Tensor};

/// What the derivative is a function of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Saves {
    Input,
    Output,
    /// It is constant: whatever lies at hand is bound.
    Nothing,
}

/// The gradient of the input by what was saved and the gradient of the output, as ops that have gradients themselves.
type Recorded = fn(&UnaryOp, &Tensor, &Tensor) -> Result<Tensor>;

pub(crate) struct Unary {
    name: &'static str,
    /// Declares `f` and `gradient`.
    file: &'static File,
    saves: Saves,
    /// Whether there is an `f` for integers too.
    integers: bool,
    recorded: Option<Recorded>,
}

impl Unary {
    fn formula(&self, a: f32, b: f32) -> Formula<'static> {
        Formula { file: self.file, numbers: [a, b, 0.0, 0.0], trusted: true }
    }
}

macro_rules! table {
    ($($ident:ident = $name:literal $file:ident $saves:ident $integers:literal $recorded:expr;)*) => {
        $(pub(crate) static $ident: Unary = Unary {
            name: $name,
            file: &shaders::$file,
            saves: Saves::$saves,
            integers: $integers,
            recorded: $recorded,
        };)*
    };
}

// The columns: the name; the file; what the derivative is a function of; whether there is an `f` for integers; the gradient as
// ops.
table! {
    NEG = "neg" UNARY_NEG Nothing true Some(|_, _, dy| dy.neg());
    EXP = "exp" UNARY_EXP Output false Some(|_, y, dy| dy.mul(y));
    EXPM1 = "expm1" UNARY_EXPM1 Output false Some(|_, y, dy| dy.mul(&y.mul_add_scalar(1.0, 1.0)?));
    LOG = "log" UNARY_LOG Input false Some(|_, x, dy| dy.div(x));
    LOG1P = "log1p" UNARY_LOG1P Input false Some(|_, x, dy| dy.div(&x.mul_add_scalar(1.0, 1.0)?));
    SQRT = "sqrt" UNARY_SQRT Output false Some(|_, y, dy| dy.div(y)?.mul_add_scalar(0.5, 0.0));
    SQUARE = "square" UNARY_SQUARE Input true Some(|_, x, dy| dy.mul(x)?.mul_add_scalar(2.0, 0.0));
    ABS = "abs" UNARY_ABS Input true Some(UnaryOp::by_slope);
    RELU = "relu" UNARY_RELU Output false Some(UnaryOp::by_slope);
    SIGMOID = "sigmoid" UNARY_SIGMOID Output false Some(|_, y, dy| dy.mul(&y.sub(&y.square()?)?));
    TANH = "tanh" UNARY_TANH Output false Some(|_, y, dy| dy.mul(&y.square()?.mul_add_scalar(-1.0, 1.0)?));
    SOFTPLUS = "softplus" UNARY_SOFTPLUS Input false Some(|_, x, dy| dy.mul(&x.sigmoid()?));
    GELU = "gelu" UNARY_GELU Input false Some(|_, x, dy| dy.mul(&x.unary(&GELU_GRAD, 0.0, 0.0)?));
    SILU = "silu" UNARY_SILU Input false Some(UnaryOp::silu_grad);
    GELU_GRAD = "gelu_grad" UNARY_GELU_GRAD Input false None;
    CLAMP = "clamp" UNARY_CLAMP Input false Some(UnaryOp::by_slope);
    MUL_ADD_SCALAR = "mul_add_scalar" UNARY_MUL_ADD_SCALAR Nothing false Some(|op, _, dy| dy.mul_add_scalar(op.a, 0.0));
    IDENTITY = "contiguous" UNARY_IDENTITY Nothing true Some(|_, _, dy| Ok(dy.clone()));
}

/// The functions `f` and `gradient` of a file, with the numbers that they may use.
pub(super) struct Formula<'a> {
    pub(super) file: &'a File,
    pub(super) numbers: [f32; 4],
    /// Whether the file is the engine's own, whose kernels run without checks.
    pub(super) trusted: bool,
}

impl<'a> Formula<'a> {
    fn launch(&self, gpu: &'a Gpu, kernel: Kernel<'a>) -> Launch<'a> {
        let launch = if self.trusted { launch(gpu, kernel) } else { gpu.launch(kernel) };
        let [a, b, c, d] = self.numbers;
        launch.set_all_f32([("a", a), ("b", b), ("c", c), ("d", d)])
    }

    /// The gradient of the input by what was saved and the gradient of the output, both contiguous.
    pub(super) fn input_grad(&self, saved: &'a Tensor, dy: &'a Tensor) -> Result<Tensor> {
        let dx = Tensor::empty_of(dy.gpu(), dy.shape(), dy.dtype())?;
        let n4 = dy.numel().div_ceil(4);
        self.launch(dy.gpu(), Kernel::new(&shaders::UNARY_BACKWARD, "unary_backward").with(self.file))
            .alias("X", dy.dtype().wgsl4())
            .alias("C", "f32")
            .bind_all([("saved", saved.bind_padded()), ("dy", dy.bind_padded()), ("dx", dx.bind_padded())])
            .set("n4", n4)
            .threads(n4)
            .enqueue()?;
        Ok(dx)
    }
}

struct UnaryOp {
    op: &'static Unary,
    saved: Option<Tensor>,
    a: f32,
    b: f32,
}

impl UnaryOp {
    fn input_grad(&self, dy: &Tensor) -> Result<Tensor> {
        let saved = self.saved.as_ref().map_or_else(|| Ok(dy.clone()), Tensor::contiguous)?;
        self.op.formula(self.a, self.b).input_grad(&saved, dy)
    }

    /// σ(x) + silu(x) · (1 - σ(x)), times `dy`.
    fn silu_grad(&self, x: &Tensor, dy: &Tensor) -> Result<Tensor> {
        let s = x.sigmoid()?;
        dy.mul(&s.add(&x.mul(&s)?.mul(&s.mul_add_scalar(-1.0, 1.0)?)?)?)
    }

    /// For functions made of straight pieces, whose slope has no derivative: the slope, times `dy`.
    fn by_slope(&self, saved: &Tensor, dy: &Tensor) -> Result<Tensor> {
        let slope = no_grad(|| {
            let ones = Tensor::full(dy.gpu(), dy.shape(), 1.0)?.to_dtype(dy.dtype())?;
            Self { op: self.op, saved: Some(saved.detach()), a: self.a, b: self.b }.input_grad(&ones)
        })?;
        dy.mul(&slope)
    }
}

impl Op for UnaryOp {
    fn name(&self) -> &'static str {
        self.op.name
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(self.input_grad(dy)?)])
    }

    fn recorded_backward(&self, dy: &Tensor, _: &[bool]) -> Result<Option<Vec<Option<Tensor>>>> {
        let Some(recorded) = self.op.recorded else { return Ok(None) };
        let saved = match (&self.saved, self.op.saves) {
            (Some(x), Saves::Input) => x.clone(),
            (Some(y), Saves::Output) => saved_output(y),
            _ => dy.clone(),
        };
        Ok(Some(vec![Some(recorded(self, &saved, dy)?)]))
    }
}

/// A conversion, or a copy of a view.
struct Converted {
    /// The input's type.
    dtype: DType,
}

impl Op for Converted {
    fn name(&self) -> &'static str {
        "to_dtype"
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(dy.to_dtype(self.dtype)?)])
    }

    fn recorded_backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Option<Vec<Option<Tensor>>>> {
        self.backward(dy, needed).map(Some)
    }

    fn takes_views(&self) -> bool {
        true
    }
}

impl Unary {
    /// Declares the function as `f`.
    pub(crate) fn file(&self) -> &'static File {
        self.file
    }

    /// Whether its gradient is a function of its output.
    pub(crate) fn saves_output(&self) -> bool {
        self.saves == Saves::Output
    }

    /// The gradient of its input by its output `y`, of those that save that, and the gradient of y.
    pub(crate) fn gradient_by_output(&'static self, y: &Tensor, dy: &Tensor) -> Result<Tensor> {
        UnaryOp { op: self, saved: Some(y.clone()), a: 0.0, b: 0.0 }.input_grad(dy)
    }

    /// As `gradient_by_output`, recorded.
    pub(crate) fn recorded_gradient_by_output(&'static self, y: &Tensor, dy: &Tensor) -> Result<Tensor> {
        let op = UnaryOp { op: self, saved: Some(y.clone()), a: 0.0, b: 0.0 };
        let no_derivative = Error::NoSecondDerivative { op: self.name };
        self.recorded.ok_or(no_derivative).and_then(|recorded| recorded(&op, y, dy))
    }
}

/// Writes `f(x)` to `y`, of as many elements as `x`, converted to `dtype`.
pub(super) fn apply<'a>(formula: &Formula<'a>, x: &'a Tensor, y: View, dtype: DType) -> Result<()> {
    let (gpu, n) = (x.gpu(), x.numel());
    if n == 0 {
        return Ok(());
    }
    let (from, n4) = (x.dtype(), n.div_ceil(4));
    let is_bytes = from == DType::U8;
    let store = if dtype == DType::U8 { &shaders::STORE_BYTES } else { &shaders::STORE_QUAD };
    // Between integers no float comes in; what is converted to integers is rounded by them.
    let computed = if from.is_float() || dtype.is_float() { "f32" } else { "i32" };
    let composed = |kernel: Kernel<'a>| {
        formula.launch(gpu, kernel.with(store)).alias("Y", dtype.wgsl4()).alias("C", computed)
    };
    let launch = if x.is_contiguous() {
        let load = if is_bytes { &shaders::LOAD_BYTES } else { &shaders::LOAD_QUAD };
        composed(Kernel::new(&shaders::UNARY_FORWARD, "unary_forward").with(formula.file).with(load))
            .alias("X", from.wgsl4())
            .bind("x", x.bind_padded())
            .set("n4", n4)
    } else {
        let (strided, axes) = (x.strided(), x.merged_axes());
        let load = if is_bytes { &shaders::LOAD_BYTE } else { &shaders::LOAD_ELEMENT };
        composed(Kernel::new(&shaders::UNARY_STRIDED, "unary_strided").with(formula.file).with(load))
            .alias("E", from.wgsl())
            .constant("RANK", axes.len())
            .bind("x", strided.view)
            .set_all([("n", n), ("offset", strided.offset)])
            .max_iterations(5 + 4 * axes.len())
            .set_rows("axes", axes)
    };
    Ok(launch.bind("y", y).threads(n4).enqueue()?)
}

impl Tensor {
    pub(crate) fn unary(&self, op: &'static Unary, a: f32, b: f32) -> Result<Tensor> {
        if !(self.dtype().is_float() || op.integers && self.dtype() == DType::I32) {
            return Err(self.no_floats(op.name));
        }
        let y = Tensor::empty_of(self.gpu(), self.shape(), self.dtype())?;
        apply(&op.formula(a, b), self, y.bind_padded(), self.dtype())?;
        let saved = match op.saves {
            Saves::Input => Some(self.clone()),
            Saves::Output => Some(y.detach()),
            Saves::Nothing => None,
        };
        Ok(y.with_op(&[self], || UnaryOp { op, saved, a, b }))
    }

    /// These values in row-major order without gaps: a copy of a view, and this tensor itself where it is no view.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn contiguous(&self) -> Result<Tensor> {
        if self.is_contiguous() {
            return Ok(self.clone());
        }
        self.converted(self.dtype())
    }

    /// These values as another type. Floats become integers by dropping what is behind the point, and bytes modulo 256; beyond
    /// the range of i32, and for NaN, the result is unspecified. Beyond ±65504, the largest f16, values become infinite or
    /// stay at it. The gradient is converted back.
    ///
    /// Counterpart: `torch.Tensor.to(dtype)`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for f16 on a device without it, [`Error::Device`].
    pub fn to_dtype(&self, dtype: DType) -> Result<Tensor> {
        if self.dtype() == dtype { Ok(self.clone()) } else { self.converted(dtype) }
    }

    fn converted(&self, dtype: DType) -> Result<Tensor> {
        let y = Tensor::empty_of(self.gpu(), self.shape(), dtype)?;
        apply(&IDENTITY.formula(0.0, 0.0), self, y.bind_padded(), dtype)?;
        if !dtype.is_float() {
            return Ok(y);
        }
        Ok(y.with_op(&[self], || Converted { dtype: self.dtype() }))
    }

    /// These values as f32, contiguous, for an op that computes with those alone.
    pub(crate) fn as_f32(&self, op: &'static str) -> Result<Tensor> {
        if self.dtype().is_float() {
            return self.to_dtype(DType::F32)?.contiguous();
        }
        Err(self.no_floats(op))
    }

    pub(crate) fn no_floats(&self, op: &'static str) -> Error {
        let (shape, dtype) = (self.shape(), self.dtype());
        let message =
            format!("a tensor {shape:?} of {dtype}: it takes floats; convert it with to_dtype first");
        Error::DType { op, message }
    }

    /// The result of `f` on these values as f32, in this tensor's type.
    pub(crate) fn in_f32(
        &self,
        op: &'static str,
        f: impl FnOnce(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        f(&self.as_f32(op)?)?.to_dtype(self.dtype())
    }

    /// Writes these values to a contiguous tensor of as many elements and the same type.
    pub(crate) fn copy_into(&self, to: &Tensor) -> Result<()> {
        apply(&IDENTITY.formula(0.0, 0.0), self, to.bind_padded(), to.dtype())
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

    /// `x·σ(x)` with the sigmoid σ. Shape: any, kept. Counterpart: `torch.nn.functional.silu`.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn silu(&self) -> Result<Tensor> {
        self.unary(&SILU, 0.0, 0.0)
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
        self.unary(&MUL_ADD_SCALAR, scale, shift)
    }
}
