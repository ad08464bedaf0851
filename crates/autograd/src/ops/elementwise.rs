//! [`Elementwise`]: elementwise ops of one's own, from an expression for the value and one for the derivative.

use std::sync::Arc;

use wgrad_device::shaders::File;

use super::unary::{Formula, apply};
use crate::{Error, Op, Result, Tensor};

/// The names that the kernels give the numbers of a call.
const NUMBERS: [&str; 4] = ["p.a", "p.b", "p.c", "p.d"];

/// The file of an op whose value is the expression `value` and its derivative `slope`, both of `x`, the numbers and `y`, which is
/// the expression `y`. The expressions stand on lines of their own, so that the columns in errors are theirs.
fn file(name: &'static str, names: &[String], [y, value, slope]: [&str; 3]) -> File {
    let numbers: String =
        names.iter().zip(NUMBERS).map(|(name, number)| format!("let {name} = {number}; ")).collect();
    // Where the value is y itself, it stands in the text once.
    let (of_y, value) = if y == value {
        (String::new(), format!("fn value(x: f32) -> f32 {{ {numbers}return (\n{value}\n); }}"))
    } else {
        (
            format!(" fn value_of_y(x: f32) -> f32 {{ {numbers}return ({y}); }}"),
            format!("fn value(x: f32) -> f32 {{ let y = value_of_y(x); {numbers}return (\n{value}\n); }}"),
        )
    };
    let y = if of_y.is_empty() { "value" } else { "value_of_y" };
    let text = format!(
        "{value} fn slope(x: f32) -> f32 {{ let y = {y}(x); {numbers}return (\n{slope}\n); }}{of_y}\n\
         fn f(x: vec4<f32>) -> vec4<f32> {{\n    \
         return vec4<f32>(value(x.x), value(x.y), value(x.z), value(x.w));\n}}\n\
         fn gradient(x: vec4<f32>, dy: vec4<f32>) -> vec4<f32> {{\n    \
         return dy * vec4<f32>(slope(x.x), slope(x.y), slope(x.z), slope(x.w));\n}}\n"
    );
    File::from_text(name, text)
}

/// An elementwise op of one operand, made of WGSL at run time: one kernel forward and one backward, for f32 and f16, for views
/// too. Its kernels are compiled with checks.
///
/// ```no_run
/// use wgrad_autograd::{Elementwise, Gpu, Tensor};
///
/// let gpu = Gpu::new()?;
/// let snake = Elementwise::new("snake", "x + sin(a * x) * sin(a * x) / a", "1.0 + sin(2.0 * a * x)", &["a"])?;
/// let x = Tensor::from_slice(&gpu, &[0.5, -1.0], &[2])?.tracked();
/// let gradients = snake.apply(&x, &[2.0])?.sum_all()?.backward()?;
/// # Ok::<(), wgrad_autograd::Error>(())
/// ```
#[derive(Clone)]
pub struct Elementwise(Arc<Inner>);

struct Inner {
    name: &'static str,
    file: File,
    names: Vec<String>,
    /// The expressions for the value and its derivative.
    value: String,
    derivative: String,
    /// The op whose value is this one's derivative, where that has a derivative of its own.
    of_derivative: Option<Elementwise>,
}

impl Elementwise {
    /// The op `value`, an expression of `x`, and of up to four numbers called `names` that each call gives. `derivative` is an
    /// expression of the same, and of `y`, the value. Keep the op for all calls: another one of the same text is compiled anew.
    ///
    /// # Errors
    /// [`Error::Shape`] for more than four names, or one that cannot name a number. Whether the expressions are WGSL shows when
    /// the op is first applied.
    pub fn new(name: &'static str, value: &str, derivative: &str, names: &[&str]) -> Result<Self> {
        let is_name = |name: &&str| {
            let mut letters = name.chars();
            letters.next().is_some_and(|c| c.is_ascii_alphabetic())
                && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
                && !["x", "y"].contains(name)
        };
        if names.len() > NUMBERS.len() || !names.iter().all(is_name) {
            let message = format!(
                "numbers {names:?}: an elementwise op has up to {}, named by letters and digits, none x or y",
                NUMBERS.len()
            );
            return Err(Error::shape(name, message));
        }
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let file = file(name, &names, [value, value, derivative]);
        let (value, derivative) = (value.to_owned(), derivative.to_owned());
        Ok(Self(Arc::new(Inner { name, file, names, value, derivative, of_derivative: None })))
    }

    /// This op with the derivative of its derivative, an expression of `x`, `y` and the numbers: it has second derivatives.
    #[must_use]
    pub fn with_second_derivative(self, second: &str) -> Self {
        let Inner { name, file: own, names, value, derivative, .. } = &*self.0;
        let inner = |file: File, of_derivative| {
            let (names, value, derivative) = (names.clone(), value.clone(), derivative.clone());
            Self(Arc::new(Inner { name, file, names, value, derivative, of_derivative }))
        };
        let of_derivative = inner(file(name, names, [value, derivative, second]), None);
        inner(own.clone(), Some(of_derivative))
    }

    fn formula(&self, numbers: [f32; 4]) -> Formula<'_> {
        Formula { file: &self.0.file, numbers, trusted: false }
    }

    /// The op on every element of `x`, with `numbers` for its names.
    ///
    /// Shape: any, kept.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of numbers, [`Error::DType`] for integers; [`wgrad_device::Error::Shader`] in
    /// [`Error::Device`] where the text is not WGSL, with line and column: the value is line 2, the derivative line 4.
    pub fn apply(&self, x: &Tensor, numbers: &[f32]) -> Result<Tensor> {
        let Inner { name, names, .. } = &*self.0;
        if numbers.len() != names.len() {
            return Err(Error::shape(name, format!("{} numbers for {names:?}", numbers.len())));
        }
        if !x.dtype().is_float() {
            return Err(x.no_floats(name));
        }
        let mut all = [0.0; 4];
        all[..numbers.len()].copy_from_slice(numbers);
        let y = Tensor::empty_of(x.gpu(), x.shape(), x.dtype())?;
        apply(&self.formula(all), x, y.bind_padded(), x.dtype())?;
        Ok(y.with_op(&[x], || ElementwiseOp { op: self.clone(), x: x.clone(), numbers: all }))
    }
}

struct ElementwiseOp {
    op: Elementwise,
    x: Tensor,
    numbers: [f32; 4],
}

impl Op for ElementwiseOp {
    fn name(&self) -> &'static str {
        self.op.0.name
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let x = self.x.contiguous()?;
        Ok(vec![Some(self.op.formula(self.numbers).input_grad(&x, dy)?)])
    }

    fn recorded_backward(&self, dy: &Tensor, _: &[bool]) -> Result<Option<Vec<Option<Tensor>>>> {
        let Some(derivative) = &self.op.0.of_derivative else { return Ok(None) };
        let slope = derivative.apply(&self.x, &self.numbers[..self.op.0.names.len()])?;
        Ok(Some(vec![Some(dy.mul(&slope)?)]))
    }
}
