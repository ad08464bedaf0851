//! [`Elementwise`]: elementwise ops of one's own, from an expression for the value and one for the derivative.

use std::sync::Arc;

use wgrad_device::shaders::File;

use super::unary::{Formula, apply};
use crate::{Error, Op, Result, Tensor};

/// The names that the kernels give the numbers of a call.
const NUMBERS: [&str; 4] = ["p.a", "p.b", "p.c", "p.d"];

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
    /// The op whose value is this one's derivative, where that has a derivative of its own.
    derivative: Option<Elementwise>,
}

impl Elementwise {
    /// The op `value`, an expression of `x`, and of up to four numbers called `names` that each call gives. `derivative` is an
    /// expression of the same, and of `y`, the value. Keep the op for all calls: another one of the same text is compiled anew.
    ///
    /// # Errors
    /// [`Error::Shape`] for more than four names, or one that cannot name a number. Whether the expressions are WGSL shows when
    /// the op is first applied.
    pub fn new(name: &'static str, value: &str, derivative: &str, names: &[&str]) -> Result<Self> {
        Self::build(name, value, derivative, names, None)
    }

    /// This op with the derivative of its derivative, so that it has second derivatives; an expression of the same.
    ///
    /// # Errors
    /// As [`Elementwise::new`].
    pub fn with_second_derivative(self, derivative: &str, second: &str) -> Result<Self> {
        let names: Vec<&str> = self.0.names.iter().map(String::as_str).collect();
        let derivative = Self::build(self.0.name, derivative, second, &names, None)?;
        let Inner { name, file, names, .. } = &*self.0;
        let (file, names) = (file.clone(), names.clone());
        Ok(Self(Arc::new(Inner { name, file, names, derivative: Some(derivative) })))
    }

    fn build(
        name: &'static str,
        value: &str,
        derivative: &str,
        names: &[&str],
        second: Option<Elementwise>,
    ) -> Result<Self> {
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
        let numbers: String =
            names.iter().zip(NUMBERS).map(|(name, number)| format!("let {name} = {number}; ")).collect();
        // The expressions stand on lines of their own, the second and the fourth, so that columns in errors are theirs.
        let text = format!(
            "fn value(x: f32) -> f32 {{ {numbers}return (\n{value}\n); }} \
             fn slope(x: f32) -> f32 {{ let y = value(x); {numbers}return (\n{derivative}\n); }}\n\
             fn f(x: vec4<f32>) -> vec4<f32> {{\n    \
             return vec4<f32>(value(x.x), value(x.y), value(x.z), value(x.w));\n}}\n\
             fn gradient(x: vec4<f32>, dy: vec4<f32>) -> vec4<f32> {{\n    \
             return dy * vec4<f32>(slope(x.x), slope(x.y), slope(x.z), slope(x.w));\n}}\n"
        );
        let names = names.iter().map(|&name| name.to_owned()).collect();
        Ok(Self(Arc::new(Inner { name, file: File::from_text(name, text), names, derivative: second })))
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
        let Some(derivative) = &self.op.0.derivative else { return Ok(None) };
        let slope = derivative.apply(&self.x, &self.numbers[..self.op.0.names.len()])?;
        Ok(Some(vec![Some(dy.mul(&slope)?)]))
    }
}
