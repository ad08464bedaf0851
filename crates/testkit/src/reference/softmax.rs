//! Softmax and log-softmax over the last axis.

use super::reduce::larger;
use crate::Array;

/// exp(x) / Σ exp(x) over the last axis.
///
/// # Panics
/// Where `x` has no axes.
#[track_caller]
pub fn softmax(x: &Array) -> Array {
    rows(x, |row, max| {
        let sum: f64 = row.iter().map(|v| (v - max).exp()).sum();
        row.iter().map(|v| (v - max).exp() / sum).collect()
    })
}

/// x - log Σ exp(x) over the last axis.
///
/// # Panics
/// Where `x` has no axes.
#[track_caller]
pub fn log_softmax(x: &Array) -> Array {
    rows(x, |row, max| {
        let sum: f64 = row.iter().map(|v| (v - max).exp()).sum();
        row.iter().map(|v| v - max - sum.ln()).collect()
    })
}

/// Applies `f` to each row and its maximum, which keeps the exponentials from overflowing.
#[track_caller]
fn rows(x: &Array, f: impl Fn(&[f64], f64) -> Vec<f64>) -> Array {
    let Some(&cols) = x.shape.last() else {
        panic!("softmax needs at least one axis");
    };
    // A row without elements gives nothing, but `chunks` wants a positive length.
    let chunks = x.data.chunks(cols.max(1));
    let data = chunks.flat_map(|row| f(row, row.iter().copied().fold(f64::NEG_INFINITY, larger)));
    Array::new(&x.shape, data.collect())
}
