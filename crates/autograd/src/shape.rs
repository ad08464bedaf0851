//! Arithmetic of shapes.

use crate::{Error, Result};

/// Number of elements; the largest number there is where they are more.
pub(crate) fn numel(shape: &[usize]) -> usize {
    shape.iter().fold(1, |count: usize, &n| count.saturating_mul(n))
}

/// Row-major strides, in elements.
pub(crate) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for d in (0..shape.len().saturating_sub(1)).rev() {
        strides[d] = strides[d + 1] * shape[d + 1];
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

/// Strides of `shape` seen as `target`: 0 along the axes it is broadcast over.
pub(crate) fn broadcast_strides(shape: &[usize], target: &[usize]) -> Vec<usize> {
    let own = strides(shape);
    let missing = target.len() - shape.len();
    (0..target.len())
        .map(|d| if d < missing || shape[d - missing] == 1 { 0 } else { own[d - missing] })
        .collect()
}

/// Sorted, distinct axes. An empty list stays empty: a list that was computed must not mean all when it happens to name
/// none.
pub(crate) fn checked_axes(op: &'static str, shape: &[usize], axes: &[usize]) -> Result<Vec<usize>> {
    let mut sorted = axes.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != axes.len() {
        return Err(Error::shape(op, format!("an axis is given twice in {axes:?}")));
    }
    match sorted.last() {
        Some(&last) if last >= shape.len() => {
            Err(Error::shape(op, format!("axis {last} of a tensor {shape:?} with {} axes", shape.len())))
        }
        _ => Ok(sorted),
    }
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
    fn shapes_broadcast_like_numpy() {
        assert_eq!(broadcast("add", &[3, 1], &[4]).unwrap(), [3, 4]);
        assert_eq!(broadcast("add", &[], &[2, 2]).unwrap(), [2, 2]);
        let error = broadcast("add", &[3, 2], &[4]).unwrap_err().to_string();
        assert!(error.contains("add") && error.contains("2 ≠ 4"), "{error}");
        assert_eq!(broadcast_strides(&[3, 1], &[2, 3, 4]), [0, 1, 0]);
    }
}
