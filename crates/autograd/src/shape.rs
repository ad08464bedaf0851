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

/// `dims` with neighbouring axes merged wherever every one of the strides allows it: fewer divisions in the
/// kernel and fewer variants of it.
pub(crate) fn merged(dims: &[usize], strides: &[&[usize]]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let mut out_dims: Vec<usize> = Vec::new();
    let mut out: Vec<Vec<usize>> = vec![Vec::new(); strides.len()];
    for (d, &n) in dims.iter().enumerate() {
        if n == 1 {
            continue;
        }
        let joins =
            !out_dims.is_empty() && out.iter().zip(strides).all(|(o, s)| o.last() == Some(&(s[d] * n)));
        if joins && let Some(last) = out_dims.last_mut() {
            *last *= n;
            out.iter_mut()
                .zip(strides)
                .for_each(|(o, s)| o.iter_mut().last().into_iter().for_each(|l| *l = s[d]));
        } else {
            out_dims.push(n);
            out.iter_mut().zip(strides).for_each(|(o, s)| o.push(s[d]));
        }
    }
    if out_dims.is_empty() {
        out_dims.push(1);
        out.iter_mut().for_each(|o| o.push(0));
    }
    (out_dims, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_joins_what_is_contiguous_in_every_operand() {
        // Contiguous in both: one axis.
        assert_eq!(merged(&[2, 3, 4], &[&[12, 4, 1], &[12, 4, 1]]), (vec![24], vec![vec![1], vec![1]]));
        // The second operand is broadcast over the first axis.
        let (dims, s) = merged(&[2, 3, 4], &[&[12, 4, 1], &[0, 4, 1]]);
        assert_eq!((dims, s), (vec![2, 12], vec![vec![12, 1], vec![0, 1]]));
        // Axes of one element vanish.
        assert_eq!(merged(&[1, 1], &[&[5, 7]]), (vec![1], vec![vec![0]]));
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
