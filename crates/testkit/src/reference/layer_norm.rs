//! Layer normalisation over the last axis.

use super::{add, broadcast_to, mean, mul, sub, var};
use crate::Array;

/// `(x - mean) / √(var + eps) · weight + bias`, with the mean and biased variance of each row.
///
/// # Panics
/// Where `x` has no axes, or weight and bias don't broadcast to it.
#[track_caller]
pub fn layer_norm(x: &Array, weight: &Array, bias: &Array, eps: f64) -> Array {
    let last = [x.rank() - 1];
    let mean = broadcast_to(&mean(x, &last, true), &x.shape);
    let scale = var(x, &last, 0, true).map(|var| 1.0 / (var + eps).sqrt());
    add(&mul(&mul(&sub(x, &mean), &scale), weight), bias)
}
