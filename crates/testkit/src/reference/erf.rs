//! The error function in double precision.

use std::f64::consts::{FRAC_2_SQRT_PI, PI};

/// From here on the continued fraction converges to the last digit; below, erf is small enough that
/// 1 - erf keeps its digits.
const SWITCH: f64 = 1.5;

/// erf(x) = 2/√π ∫₀ˣ exp(-t²) dt, to a few units in the last place.
pub fn erf(x: f64) -> f64 {
    if x.abs() < SWITCH { series(x) } else { x.signum() * (1.0 - fraction(x.abs())) }
}

/// erfc(x) = 1 - erf(x), without the cancellation for large x: relative error below 1e-13.
pub fn erfc(x: f64) -> f64 {
    if x.abs() < SWITCH {
        1.0 - series(x)
    } else if x > 0.0 {
        fraction(x)
    } else {
        2.0 - fraction(-x)
    }
}

/// erf(x) = 2/√π · exp(-x²) · Σ 2ⁿ x²ⁿ⁺¹ / (1·3·5···(2n+1)). All terms have one sign, so nothing
/// cancels.
fn series(x: f64) -> f64 {
    let mut term = x;
    let mut sum = x;
    let mut n = 0.0;
    while term.abs() > sum.abs() * 1e-18 {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

/// erfc(x) = exp(-x²)/√π · 1/(x + (1/2)/(x + (2/2)/(x + (3/2)/(x + …)))) for x ≥ [`SWITCH`], from
/// the inside out.
fn fraction(x: f64) -> f64 {
    let denominator = (1..=150).rev().fold(x, |inner, n| x + 0.5 * f64::from(n) / inner);
    (-x * x).exp() / (PI.sqrt() * denominator)
}
