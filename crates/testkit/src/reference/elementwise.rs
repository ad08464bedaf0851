//! Operations on each element.

use super::{broadcast_shape, broadcast_to, erfc};
use crate::Array;

/// Applies `f` to pairs of elements after NumPy's broadcasting.
#[track_caller]
fn zip(a: &Array, b: &Array, f: impl Fn(f64, f64) -> f64) -> Array {
    let shape = broadcast_shape(&a.shape, &b.shape);
    let (a, b) = (broadcast_to(a, &shape), broadcast_to(b, &shape));
    Array::new(&shape, a.data.iter().zip(&b.data).map(|(&a, &b)| f(a, b)).collect())
}

/// a + b, broadcast.
#[track_caller]
pub fn add(a: &Array, b: &Array) -> Array {
    zip(a, b, |a, b| a + b)
}

/// a - b, broadcast.
#[track_caller]
pub fn sub(a: &Array, b: &Array) -> Array {
    zip(a, b, |a, b| a - b)
}

/// a · b for each element, broadcast.
#[track_caller]
pub fn mul(a: &Array, b: &Array) -> Array {
    zip(a, b, |a, b| a * b)
}

/// a / b, broadcast.
#[track_caller]
pub fn div(a: &Array, b: &Array) -> Array {
    zip(a, b, |a, b| a / b)
}

/// The larger of a and b, or NaN, broadcast.
#[track_caller]
pub fn maximum(a: &Array, b: &Array) -> Array {
    zip(a, b, |a, b| if a.is_nan() || a > b { a } else { b })
}

/// The smaller of a and b, or NaN, broadcast.
#[track_caller]
pub fn minimum(a: &Array, b: &Array) -> Array {
    zip(a, b, |a, b| if a.is_nan() || a < b { a } else { b })
}

/// a where b is not 0, and 0 elsewhere, broadcast.
#[track_caller]
pub fn keep_where(a: &Array, b: &Array) -> Array {
    zip(a, b, |a, b| if b == 0.0 { 0.0 } else { a })
}

/// -x.
pub fn neg(x: &Array) -> Array {
    x.map(|v| -v)
}

/// eˣ.
pub fn exp(x: &Array) -> Array {
    x.map(f64::exp)
}

/// eˣ - 1.
pub fn expm1(x: &Array) -> Array {
    x.map(f64::exp_m1)
}

/// ln(1 + x).
pub fn log1p(x: &Array) -> Array {
    x.map(f64::ln_1p)
}

/// ln(1 + eˣ).
pub fn softplus(x: &Array) -> Array {
    x.map(|v| (if v < 0.0 { 0.0 } else { v }) + (-v.abs()).exp().ln_1p())
}

/// The natural logarithm.
pub fn log(x: &Array) -> Array {
    x.map(f64::ln)
}

/// The square root.
pub fn sqrt(x: &Array) -> Array {
    x.map(f64::sqrt)
}

/// x².
pub fn square(x: &Array) -> Array {
    x.map(|v| v * v)
}

/// |x|.
pub fn abs(x: &Array) -> Array {
    x.map(f64::abs)
}

/// max(x, 0).
pub fn relu(x: &Array) -> Array {
    x.map(|v| if v < 0.0 { 0.0 } else { v })
}

/// 1 / (1 + e⁻ˣ).
pub fn sigmoid(x: &Array) -> Array {
    x.map(|v| 1.0 / (1.0 + (-v).exp()))
}

/// x · σ(x) with the sigmoid σ.
pub fn silu(x: &Array) -> Array {
    x.map(|v| v / (1.0 + (-v).exp()))
}

/// The hyperbolic tangent.
pub fn tanh(x: &Array) -> Array {
    x.map(f64::tanh)
}

/// x · Φ(x) with the normal distribution function Φ in its exact form, as
/// `torch.nn.functional.gelu(x)`.
///
/// Φ(x) = erfc(-x/√2) / 2, which unlike (1 + erf(x/√2)) / 2 keeps its digits for negative x.
pub fn gelu(x: &Array) -> Array {
    x.map(|v| 0.5 * v * erfc(-v * std::f64::consts::FRAC_1_SQRT_2))
}

/// min(max(x, lo), hi).
pub fn clamp(x: &Array, lo: f64, hi: f64) -> Array {
    x.map(|v| {
        let raised = if v < lo { lo } else { v };
        if raised > hi { hi } else { raised }
    })
}
