//! Arithmetic of shapes.

use crate::{Error, Result};

/// Number of elements; the largest number there is where they are more.
pub(crate) fn numel(shape: &[usize]) -> usize {
    shape.iter().fold(1, |count: usize, &n| count.saturating_mul(n))
}

/// Row-major strides, in elements.
pub(crate) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for d in (0..shape.len().saturating_sub(1)).rev() {
        // Beside an axis of no elements any sizes may stand.
        strides[d] = strides[d + 1].saturating_mul(shape[d + 1]);
    }
    strides
}

/// The shape that `a` and `b` broadcast to by NumPy's rules.
pub(crate) fn broadcast(op: &'static str, a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let padded = |s: &[usize], d: usize| if d + s.len() < rank { 1 } else { s[d + s.len() - rank] };
    let mut shape = Vec::with_capacity(rank);
    for d in 0..rank {
        match (padded(a, d), padded(b, d)) {
            (m, n) if m == n || n == 1 => shape.push(m),
            (1, n) => shape.push(n),
            (m, n) => {
                return Err(Error::shape(
                    op,
                    format!("{a:?} and {b:?} do not broadcast: {m} ≠ {n} on axis {d}"),
                ));
            }
        }
    }
    Ok(shape)
}

/// Strides of a tensor of `shape` and strides `own` seen as `target`: 0 along the axes it is broadcast over.
pub(crate) fn broadcast_strides(shape: &[usize], own: &[usize], target: &[usize]) -> Vec<usize> {
    let missing = target.len() - shape.len();
    (0..target.len())
        .map(|d| if d < missing || shape[d - missing] == 1 { 0 } else { own[d - missing] })
        .collect()
}

/// An axis as an index from the front; negative ones count from the end, -1 being the last.
pub(crate) fn checked_axis(op: &'static str, shape: &[usize], axis: isize) -> Result<usize> {
    let rank = shape.len();
    let from_front = if axis < 0 { axis.checked_add_unsigned(rank) } else { Some(axis) };
    from_front.and_then(|axis| usize::try_from(axis).ok()).filter(|&axis| axis < rank).ok_or_else(|| {
        let axes = match rank {
            0 => "none, being a scalar".to_owned(),
            _ => format!("{rank} axes, -{rank} to {}", rank - 1),
        };
        Error::shape(op, format!("axis {axis} of a tensor {shape:?}, which has {axes}"))
    })
}

/// Sorted, distinct axes; negative ones count from the end. An empty list stays empty: a list that was computed must not mean
/// all when it happens to name none.
pub(crate) fn checked_axes(op: &'static str, shape: &[usize], axes: &[isize]) -> Result<Vec<usize>> {
    let mut sorted = Vec::with_capacity(axes.len());
    for &axis in axes {
        sorted.push(checked_axis(op, shape, axis)?);
    }
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != axes.len() {
        return Err(Error::shape(op, format!("an axis of {shape:?} is given twice in {axes:?}")));
    }
    Ok(sorted)
}

/// The strides by which a tensor of shape `from` with these strides is one of shape `to`, if nothing must be copied.
pub(crate) fn reshaped(from: &[usize], by: &[usize], to: &[usize]) -> Option<Vec<usize>> {
    // Runs of axes that could be one axis; each axis of the new shape must lie within one of them.
    let mut runs = merged(from, &[by]).into_iter();
    let mut strides = vec![1; to.len()];
    let [mut left, mut stride, ..] = runs.next()?;
    for (&n, out) in to.iter().zip(&mut strides).rev() {
        if n == 1 {
            continue;
        }
        if left == 1 {
            [left, stride, ..] = runs.next()?;
        }
        if !left.is_multiple_of(n) {
            return None;
        }
        *out = stride;
        (left, stride) = (left / n, stride * n);
    }
    Some(strides)
}

/// The axes of a tensor of shape `dims`, from the last to the first: size and stride in each of up to three operands.
/// Neighbours are merged wherever every one of the strides allows it: fewer divisions in the kernel, fewer variants of it.
pub(crate) fn merged(dims: &[usize], strides: &[&[usize]]) -> Vec<[usize; 4]> {
    let mut axes: Vec<[usize; 4]> = Vec::new();
    for (d, &n) in dims.iter().enumerate().filter(|(_, n)| **n != 1) {
        let mut axis = [n, 0, 0, 0];
        axis[1..].iter_mut().zip(strides).for_each(|(stride, strides)| *stride = strides[d]);
        if let Some(before) = axes.pop_if(|before| (1..4).all(|i| before[i] == axis[i] * n)) {
            axis[0] *= before[0];
        }
        axes.push(axis);
    }
    if axes.is_empty() {
        axes.push([1, 0, 0, 0]);
    }
    axes.reverse();
    axes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_joins_what_is_contiguous_in_every_operand() {
        // Contiguous in both: one axis.
        assert_eq!(merged(&[2, 3, 4], &[&[12, 4, 1], &[12, 4, 1]]), [[24, 1, 1, 0]]);
        // The second operand is broadcast over the first axis.
        assert_eq!(merged(&[2, 3, 4], &[&[12, 4, 1], &[0, 4, 1]]), [[12, 1, 1, 0], [2, 12, 0, 0]]);
        // Axes of one element vanish.
        assert_eq!(merged(&[1, 1], &[&[5, 7]]), [[1, 0, 0, 0]]);
    }

    #[test]
    fn what_is_contiguous_in_runs_is_reshaped_without_a_copy() {
        assert_eq!(reshaped(&[4, 6], &[6, 1], &[2, 2, 3, 2]), Some(vec![12, 6, 2, 1]));
        // The rows of a matrix of which some columns are left can be split, but not joined with the columns.
        assert_eq!(reshaped(&[4, 3], &[6, 1], &[2, 2, 3]), Some(vec![12, 6, 1]));
        assert_eq!(reshaped(&[4, 3], &[6, 1], &[12]), None);
        assert_eq!(reshaped(&[4, 3], &[6, 1], &[3, 4]), None);
        // A transposed matrix.
        assert_eq!(reshaped(&[3, 4], &[1, 3], &[3, 2, 2, 1]).map(|s| s[..3].to_vec()), Some(vec![1, 6, 3]));
        assert_eq!(reshaped(&[1, 1], &[1, 1], &[1]), Some(vec![1]));
    }

    #[test]
    fn axes_count_from_either_end() {
        assert_eq!(checked_axes("sum", &[2, 3, 4], &[-1, 0]).unwrap(), [0, 2]);
        for axes in [&[3][..], &[-4], &[1, -2], &[isize::MIN]] {
            assert!(checked_axes("sum", &[2, 3, 4], axes).is_err(), "{axes:?}");
        }
    }

    #[test]
    fn shapes_broadcast_like_numpy() {
        assert_eq!(broadcast("add", &[3, 1], &[4]).unwrap(), [3, 4]);
        assert_eq!(broadcast("add", &[], &[2, 2]).unwrap(), [2, 2]);
        let error = broadcast("add", &[3, 2], &[4]).unwrap_err().to_string();
        assert!(error.contains("add") && error.contains("2 ≠ 4"), "{error}");
        assert_eq!(broadcast_strides(&[3, 1], &[1, 1], &[2, 3, 4]), [0, 1, 0]);
    }
}
