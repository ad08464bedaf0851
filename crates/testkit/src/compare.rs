//! Holding the GPU's output against a reference.

use crate::Array;

/// Panics unless every element of `got` is finite and within `atol + rtol * |want|` of `want`.
///
/// `got` is the output in row-major order. `name` says in the message which operation failed.
#[track_caller]
pub fn assert_close(name: &str, got: &[f32], want: &Array, rtol: f64, atol: f64) {
    if let Err(message) = check_close(name, got, want, rtol, atol) {
        panic!("{message}");
    }
}

/// As [`assert_close`], but returns the verdict: the largest absolute error, or what is wrong.
///
/// # Errors
/// A message with the operation's name, the number of failing elements, and the worst of them: its
/// index, what came and what was due. Other lengths fail, and so does a reference that is itself
/// not finite, since nothing is close to it.
pub fn check_close(name: &str, got: &[f32], want: &Array, rtol: f64, atol: f64) -> Result<f64, String> {
    if got.len() != want.len() {
        let (have, need, shape) = (got.len(), want.len(), &want.shape);
        return Err(format!("{name}: got {have} elements, want {need} for shape {shape:?}"));
    }
    let mut largest = 0.0;
    let mut failing = 0;
    let mut worst = (0, 0.0);
    for (element, (&got, &want)) in got.iter().zip(&want.data).enumerate() {
        let got = f64::from(got);
        let error = (got - want).abs();
        let tolerance = atol + rtol * want.abs();
        // An error that is not finite comes from either side, and exceeds everything. Without this
        // an infinite reference would allow an infinite error, and NaN would pass by comparing
        // false.
        if error.is_finite() && error <= tolerance {
            largest = f64::max(largest, error);
            continue;
        }
        failing += 1;
        let excess = if error.is_finite() { error / tolerance } else { f64::INFINITY };
        if failing == 1 || excess > worst.1 {
            worst = (element, excess);
        }
    }
    if failing == 0 {
        return Ok(largest);
    }
    let (total, index, shape) = (got.len(), want.unravel(worst.0), &want.shape);
    let (got, want) = (got[worst.0], want.data[worst.0]);
    let error = (f64::from(got) - want).abs();
    Err(format!(
        "{name}: {failing} of {total} elements differ; worst at {index:?} of {shape:?}: \
         got {got:e}, want {want:e}, error {error:e} (rtol {rtol:e}, atol {atol:e})"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want() -> Array {
        Array::new(&[2, 2], vec![1.0, -2.0, 0.0, 100.0])
    }

    #[test]
    fn within_tolerance_returns_the_largest_error() {
        let error = check_close("op", &[1.0, -2.0, 0.0, 100.5], &want(), 1e-2, 0.0);
        assert_eq!(error, Ok(0.5));
        assert_close("op", &[1.0, -2.0, 1e-7, 100.0], &want(), 0.0, 1e-6);
        assert_eq!(check_close("op", &[], &Array::zeros(&[0]), 0.0, 0.0), Ok(0.0));
    }

    #[test]
    fn the_message_names_the_worst_element() {
        let message = check_close("relu", &[1.0, -2.5, 0.0, 101.0], &want(), 1e-3, 1e-3).unwrap_err();
        for part in ["relu: 2 of 4", "[0, 1] of [2, 2]", "got -2.5e0, want -2e0"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn non_finite_values_always_fail() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let message = check_close("op", &[1.0, -2.0, bad, 101.0], &want(), 1e-6, 1e-6).unwrap_err();
            assert!(message.contains("2 of 4") && message.contains("[1, 0]"), "{message}");
            assert!(check_close("op", &[bad], &Array::full(&[1], f64::from(bad)), 1.0, 1.0).is_err());
            assert!(check_close("op", &[1.0], &Array::full(&[1], f64::from(bad)), 1.0, 1.0).is_err());
        }
    }

    #[test]
    fn other_lengths_fail() {
        assert!(check_close("op", &[1.0], &want(), 1.0, 1e9).is_err());
        assert!(check_close("op", &[1.0; 5], &want(), 1.0, 1e9).is_err());
    }

    #[test]
    #[should_panic(expected = "matmul: 1 of 4 elements differ; worst at [1, 1]")]
    fn assert_close_panics() {
        assert_close("matmul", &[1.0, -2.0, 0.0, 99.0], &want(), 1e-3, 1e-3);
    }
}
