//! Losses, each the mean over its elements or rows, as a scalar array.

use super::log_softmax;
use crate::Array;

/// Cross-entropy of logits `[n, c]` against `n` class labels, as
/// `torch.nn.functional.cross_entropy`.
///
/// With a smoothing of s the target of each row is 1 - s on its label plus s/c on every class.
///
/// # Panics
/// Where the logits are no matrix, or the labels do not fit them.
#[track_caller]
pub fn cross_entropy(logits: &Array, labels: &[usize], label_smoothing: f64) -> Array {
    cross_entropy_ignoring(logits, labels, label_smoothing, None)
}

/// As [`cross_entropy`], the mean over the rows whose label is not `ignored`.
///
/// # Panics
/// As [`cross_entropy`].
#[track_caller]
pub fn cross_entropy_ignoring(
    logits: &Array,
    labels: &[usize],
    label_smoothing: f64,
    ignored: Option<usize>,
) -> Array {
    let &[n, c] = logits.shape.as_slice() else {
        panic!("cross_entropy takes logits [n, c], not {:?}", logits.shape);
    };
    assert_eq!(labels.len(), n, "one label for each row of logits");
    let log_p = log_softmax(logits);
    let (mut total, mut counted) = (0.0, 0);
    for (row, &label) in labels.iter().enumerate() {
        if ignored == Some(label) {
            continue;
        }
        counted += 1;
        assert!(label < c, "label {label} of {c} classes");
        let row = &log_p.data[row * c..][..c];
        total -= (1.0 - label_smoothing) * row[label];
        // Left out where it is nothing: 0 times -infinity would be NaN.
        if label_smoothing > 0.0 {
            total -= label_smoothing * row.iter().sum::<f64>() / c as f64;
        }
    }
    Array::scalar(total / f64::from(counted))
}

/// The mean of (x - t)².
///
/// # Panics
/// Where the shapes differ.
#[track_caller]
pub fn mse(x: &Array, t: &Array) -> Array {
    mean_over_pairs(x, t, |x, t| (x - t) * (x - t))
}

/// The mean of -(t · log σ(x) + (1 - t) · log(1 - σ(x))), with σ the sigmoid.
///
/// It equals max(x, 0) - x·t + log(1 + exp(-|x|)), which neither overflows nor takes the logarithm
/// of zero; max(x, 0) - x·t is x·(1 - t) for x > 0, where nothing cancels.
///
/// # Panics
/// Where the shapes differ.
#[track_caller]
pub fn bce_with_logits(x: &Array, t: &Array) -> Array {
    mean_over_pairs(x, t, |x, t| (if x > 0.0 { x * (1.0 - t) } else { -x * t }) + (-x.abs()).exp().ln_1p())
}

#[track_caller]
fn mean_over_pairs(x: &Array, t: &Array, f: impl Fn(f64, f64) -> f64) -> Array {
    assert_eq!(x.shape, t.shape, "a loss takes a target of the input's shape");
    let total: f64 = x.data.iter().zip(&t.data).map(|(&x, &t)| f(x, t)).sum();
    Array::scalar(total / x.len() as f64)
}
