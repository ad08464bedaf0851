//! Reductions over axes.

use super::broadcast_to;
use crate::Array;
use crate::array::{advance, offset};

/// The sum over `axes`, over none where the list is empty. `keepdim` keeps them with length 1.
///
/// # Panics
/// Where an axis is out of range or named twice.
#[track_caller]
pub fn sum(x: &Array, axes: &[usize], keepdim: bool) -> Array {
    reduce(x, axes, keepdim, 0.0, |sum, v| sum + v)
}

/// The mean over `axes`, over none where the list is empty. `keepdim` keeps them with length 1.
///
/// # Panics
/// Where an axis is out of range or named twice.
#[track_caller]
pub fn mean(x: &Array, axes: &[usize], keepdim: bool) -> Array {
    let count = count(x, axes) as f64;
    sum(x, axes, keepdim).map(|sum| sum / count)
}

/// The largest value over `axes`, as `torch.amax`; over none where the list is empty. `keepdim` keeps
/// them with length 1.
///
/// # Panics
/// Where an axis is out of range or named twice, or there is nothing to choose from.
#[track_caller]
pub fn max(x: &Array, axes: &[usize], keepdim: bool) -> Array {
    assert!(count(x, axes) > 0, "max over axes {axes:?} of {:?} has nothing to choose from", x.shape);
    reduce(x, axes, keepdim, f64::NEG_INFINITY, larger)
}

/// The smallest value over `axes`, as `torch.amin`; over none where the list is empty. `keepdim` keeps them with length 1.
///
/// # Panics
/// As [`max`].
#[track_caller]
pub fn min(x: &Array, axes: &[usize], keepdim: bool) -> Array {
    max(&x.map(|v| -v), axes, keepdim).map(|v| -v)
}

/// The product over `axes`. `keepdim` keeps them with length 1.
///
/// # Panics
/// As [`sum`].
#[track_caller]
pub fn prod(x: &Array, axes: &[usize], keepdim: bool) -> Array {
    reduce(x, axes, keepdim, 1.0, |product, v| product * v)
}

/// The Euclidean norm over `axes`. `keepdim` keeps them with length 1.
///
/// # Panics
/// As [`sum`].
#[track_caller]
pub fn norm(x: &Array, axes: &[usize], keepdim: bool) -> Array {
    sum(&x.map(|v| v * v), axes, keepdim).map(f64::sqrt)
}

/// The mean squared difference from the mean over `axes`, with the number of elements less `correction` as divisor.
///
/// # Panics
/// As [`sum`].
#[track_caller]
pub fn var(x: &Array, axes: &[usize], correction: usize, keepdim: bool) -> Array {
    let mean = broadcast_to(&mean(x, axes, true), &x.shape);
    let squares = x.data.iter().zip(&mean.data).map(|(v, mean)| (v - mean) * (v - mean)).collect();
    let divisor = count(x, axes).saturating_sub(correction) as f64;
    sum(&Array::new(&x.shape, squares), axes, keepdim).map(|sum| sum / divisor)
}

/// `ln Σ e^x` over `axes`. `keepdim` keeps them with length 1.
///
/// # Panics
/// As [`sum`].
#[track_caller]
pub fn logsumexp(x: &Array, axes: &[usize], keepdim: bool) -> Array {
    let max = reduce(x, axes, true, f64::NEG_INFINITY, larger);
    let shift = broadcast_to(&max, &x.shape);
    // An infinite maximum is the result, and has no difference from itself.
    let term = |(v, max): (&f64, &f64)| if v == max { 1.0 } else { (v - max).exp() };
    let terms = Array::new(&x.shape, x.data.iter().zip(&shift.data).map(term).collect());
    let sums = sum(&terms, axes, keepdim);
    let data = max.data.iter().zip(&sums.data).map(|(max, sum)| max + sum.ln()).collect();
    Array::new(&sums.shape, data)
}

/// The sums of each element and all before it along `axis`.
///
/// # Panics
/// Where the axis is out of range.
#[track_caller]
pub fn cumsum(x: &Array, axis: usize) -> Array {
    let inner: usize = x.shape[axis + 1..].iter().product();
    let mut y = x.clone();
    for i in 0..x.len() {
        if i / inner % x.shape[axis] > 0 {
            y.data[i] += y.data[i - inner];
        }
    }
    y
}

/// The `k` largest values of each row, from the largest on, and their indices; the first of equal ones comes first.
///
/// # Panics
/// Where rows are shorter.
#[track_caller]
pub fn topk(x: &Array, k: usize) -> [Array; 2] {
    let n = *x.shape.last().expect("topk needs an axis");
    let mut shape = x.shape.clone();
    *shape.last_mut().expect("topk needs an axis") = k;
    let (mut values, mut indices) = (Vec::new(), Vec::new());
    for row in x.data.chunks(n) {
        let mut order: Vec<usize> = (0..n).collect();
        let key = |i: usize| if row[i].is_nan() { f64::INFINITY } else { row[i] };
        // Stable; NaN, which counts as the largest, comes before infinity.
        order.sort_by(|&a, &b| key(b).total_cmp(&key(a)).then(row[b].is_nan().cmp(&row[a].is_nan())));
        values.extend(order[..k].iter().map(|&i| row[i]));
        indices.extend(order[..k].iter().map(|&i| i as f64));
    }
    [Array::new(&shape, values), Array::new(&shape, indices)]
}

/// The sum of all elements, a scalar.
pub fn sum_all(x: &Array) -> Array {
    sum(x, &all_axes(x), false)
}

/// The mean of all elements, a scalar.
pub fn mean_all(x: &Array) -> Array {
    mean(x, &all_axes(x), false)
}

/// The largest of all elements, a scalar.
///
/// # Panics
/// Where there is nothing to choose from.
#[track_caller]
pub fn max_all(x: &Array) -> Array {
    max(x, &all_axes(x), false)
}

fn all_axes(x: &Array) -> Vec<usize> {
    (0..x.rank()).collect()
}

/// The index of the largest value along `axis`, of the first where several are equal.
///
/// # Panics
/// Where the axis is out of range or empty.
#[track_caller]
pub fn argmax(x: &Array, axis: usize, keepdim: bool) -> Array {
    assert!(axis < x.rank() && x.shape[axis] > 0, "argmax over axis {axis} of {:?}", x.shape);
    let strides = x.strides();
    let mut kept = x.shape.clone();
    kept[axis] = 1;
    let indices = Array::from_fn(&kept, |index| {
        let first = offset(index, &strides);
        let value = |i: usize| x.data[first + i * strides[axis]];
        let mut best = 0;
        for i in 1..x.shape[axis] {
            // NaN counts as the largest, as in PyTorch.
            if value(i) > value(best) || (value(i).is_nan() && !value(best).is_nan()) {
                best = i;
            }
        }
        best as f64
    });
    let shape = if keepdim { kept } else { without(&x.shape, &[axis]) };
    Array::new(&shape, indices.data)
}

/// The index of the smallest value along `axis`, of the first where several are equal.
///
/// # Panics
/// As [`argmax`].
#[track_caller]
pub fn argmin(x: &Array, axis: usize, keepdim: bool) -> Array {
    argmax(&x.map(|v| -v), axis, keepdim)
}

/// The larger of two values, or NaN where either is. `f64::max` would drop the NaN.
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || a >= b { a } else { b }
}

/// Folds all elements that share the indices outside `axes`, in row-major order.
#[track_caller]
fn reduce(x: &Array, axes: &[usize], keepdim: bool, start: f64, fold: impl Fn(f64, f64) -> f64) -> Array {
    let axes = named(x, axes);
    let kept: Vec<usize> =
        x.shape.iter().enumerate().map(|(axis, &n)| if axes.contains(&axis) { 1 } else { n }).collect();
    let mut y = Array::full(&kept, start);
    let mut strides = y.strides();
    for &axis in &axes {
        strides[axis] = 0;
    }
    let mut index = vec![0; x.rank()];
    for &value in &x.data {
        let slot = &mut y.data[offset(&index, &strides)];
        *slot = fold(*slot, value);
        advance(&mut index, &x.shape);
    }
    let shape = if keepdim { kept } else { without(&x.shape, &axes) };
    Array::new(&shape, y.data)
}

/// The axes, checked.
#[track_caller]
fn named(x: &Array, axes: &[usize]) -> Vec<usize> {
    for (i, axis) in axes.iter().enumerate() {
        assert!(*axis < x.rank() && !axes[..i].contains(axis), "axes {axes:?} of shape {:?}", x.shape);
    }
    axes.to_vec()
}

/// The number of elements that fold into one.
#[track_caller]
fn count(x: &Array, axes: &[usize]) -> usize {
    named(x, axes).iter().map(|&axis| x.shape[axis]).product()
}

/// `shape` without `axes`.
fn without(shape: &[usize], axes: &[usize]) -> Vec<usize> {
    shape.iter().enumerate().filter(|(axis, _)| !axes.contains(axis)).map(|(_, &n)| n).collect()
}
