//! Operations that only move elements.

use crate::Array;
use crate::array::offset;

/// The shape two operands broadcast to, by NumPy's rule: axes are aligned at the end, and length 1
/// stretches.
///
/// # Panics
/// Where two lengths differ and neither is 1.
#[track_caller]
pub fn broadcast_shape(a: &[usize], b: &[usize]) -> Vec<usize> {
    let rank = a.len().max(b.len());
    // Counted from the last axis; axes that an operand lacks have length 1.
    let length = |shape: &[usize], from_end: usize| *shape.iter().rev().nth(from_end).unwrap_or(&1);
    let mut shape: Vec<usize> = Vec::with_capacity(rank);
    for from_end in (0..rank).rev() {
        let pair = (length(a, from_end), length(b, from_end));
        assert!(pair.0 == pair.1 || pair.0 == 1 || pair.1 == 1, "{a:?} and {b:?} do not broadcast");
        shape.push(if pair.0 == 1 { pair.1 } else { pair.0 });
    }
    shape
}

/// `x` repeated along its axes of length 1, and along new leading axes, to `shape`.
///
/// # Panics
/// Where `x` does not broadcast to exactly `shape`.
#[track_caller]
pub fn broadcast_to(x: &Array, shape: &[usize]) -> Array {
    assert_eq!(broadcast_shape(&x.shape, shape), shape, "{:?} does not broadcast to {shape:?}", x.shape);
    let mut strides = vec![0; shape.len() - x.rank()];
    strides.extend(x.strides().iter().zip(&x.shape).map(|(&stride, &n)| if n == 1 { 0 } else { stride }));
    Array::from_fn(shape, |index| x.data[offset(index, &strides)])
}

/// The same elements in row-major order under another shape.
///
/// # Panics
/// Where the number of elements differs.
#[track_caller]
pub fn reshape(x: &Array, shape: &[usize]) -> Array {
    Array::new(shape, x.data.clone())
}

/// Axes in another order: axis i of the result is axis `axes[i]` of `x`.
///
/// # Panics
/// Where `axes` does not name each axis once.
#[track_caller]
pub fn permute(x: &Array, axes: &[usize]) -> Array {
    let mut sorted = axes.to_vec();
    sorted.sort_unstable();
    assert!(sorted.into_iter().eq(0..x.rank()), "{axes:?} is no permutation of the axes of {:?}", x.shape);
    let strides = x.strides();
    let shape: Vec<usize> = axes.iter().map(|&axis| x.shape[axis]).collect();
    let strides: Vec<usize> = axes.iter().map(|&axis| strides[axis]).collect();
    Array::from_fn(&shape, |index| x.data[offset(index, &strides)])
}

/// Elements `start..end` along an axis.
///
/// # Panics
/// Where the axis or the range lies outside `x`.
#[track_caller]
pub fn slice(x: &Array, axis: usize, start: usize, end: usize) -> Array {
    assert!(axis < x.rank(), "axis {axis} of shape {:?}", x.shape);
    assert!(start <= end && end <= x.shape[axis], "{start}..{end} along axis {axis} of {:?}", x.shape);
    let strides = x.strides();
    let mut shape = x.shape.clone();
    shape[axis] = end - start;
    Array::from_fn(&shape, |index| x.data[offset(index, &strides) + start * strides[axis]])
}

/// Arrays joined along an axis.
///
/// # Panics
/// Where there are none, or their shapes differ in another axis.
#[track_caller]
pub fn concat(parts: &[&Array], axis: usize) -> Array {
    assert!(!parts.is_empty(), "concat needs at least one array");
    let mut shape = parts[0].shape.clone();
    assert!(axis < shape.len(), "axis {axis} of shape {shape:?}");
    shape[axis] = parts.iter().map(|part| part.shape[axis]).sum();
    for part in parts {
        let mut resized = part.shape.clone();
        resized[axis] = shape[axis];
        assert_eq!(resized, shape, "concat along axis {axis}: the other axes must agree");
    }
    Array::from_fn(&shape, |index| {
        let mut index = index.to_vec();
        let mut part = 0;
        while index[axis] >= parts[part].shape[axis] {
            index[axis] -= parts[part].shape[axis];
            part += 1;
        }
        parts[part].at(&index)
    })
}
