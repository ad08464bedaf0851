//! Two-dimensional pooling.

use super::{four_axes, reduce::larger, tap, windows};
use crate::Array;

/// The largest value in each window; padding never wins.
///
/// Shape: `[n, c, h, w]` to `[n, c, oh, ow]`. Pairs are rows, then columns.
///
/// # Panics
/// Where `x` has another rank, the window does not fit, or the padding exceeds half the kernel.
#[track_caller]
pub fn max_pool2d(x: &Array, kernel: [usize; 2], stride: [usize; 2], padding: [usize; 2]) -> Array {
    pool(x, kernel, stride, padding, f64::NEG_INFINITY, larger)
}

/// The mean of each window. Padding counts as zeros, as by PyTorch's default
/// `count_include_pad=True`.
///
/// Shape: `[n, c, h, w]` to `[n, c, oh, ow]`. Pairs are rows, then columns.
///
/// # Panics
/// Where `x` has another rank, the window does not fit, or the padding exceeds half the kernel.
#[track_caller]
pub fn avg_pool2d(x: &Array, kernel: [usize; 2], stride: [usize; 2], padding: [usize; 2]) -> Array {
    let taps = (kernel[0] * kernel[1]) as f64;
    pool(x, kernel, stride, padding, 0.0, |sum, v| sum + v).map(|sum| sum / taps)
}

/// Folds the elements of each window that lie inside the input.
#[track_caller]
fn pool(
    x: &Array,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    start: f64,
    fold: impl Fn(f64, f64) -> f64,
) -> Array {
    let [n, c, height, width] = four_axes(x, "the input of a pooling");
    let allowed = padding[0] <= kernel[0] / 2 && padding[1] <= kernel[1] / 2;
    assert!(allowed, "padding {padding:?} exceeds half of the kernel {kernel:?}");
    let oh = windows(height, kernel[0], stride[0], padding[0], 1);
    let ow = windows(width, kernel[1], stride[1], padding[1], 1);
    Array::from_fn(&[n, c, oh, ow], |at| {
        let plane = (at[0] * c + at[1]) * height;
        let mut value = start;
        for i in 0..kernel[0] {
            let Some(row) = tap(at[2], i, stride[0], padding[0], 1, height) else { continue };
            for j in 0..kernel[1] {
                let Some(col) = tap(at[3], j, stride[1], padding[1], 1, width) else { continue };
                value = fold(value, x.data[(plane + row) * width + col]);
            }
        }
        value
    })
}
