//! First values that are made of a whole matrix.

/// Vectors at right angles, of length `gain`: the rows of `[rows, rest]`, or its columns where there are fewer of them. Normal
/// numbers by `draw`, through Gram and Schmidt's process, which is a QR decomposition with a positive diagonal of R.
pub(super) fn orthogonal(values: &mut [f32], rows: usize, gain: f32, mut draw: impl FnMut() -> f64) {
    let columns = values.len() / rows.max(1);
    let (count, length) = (rows.min(columns), rows.max(columns));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut found: Vec<Vec<f64>> = Vec::with_capacity(count);
    while found.len() < count {
        let mut new: Vec<f64> = (0..length).map(|_| draw()).collect();
        // Twice, since rounding leaves some of what was taken off.
        for other in found.iter().chain(&found) {
            let along = dot(&new, other);
            new.iter_mut().zip(other).for_each(|(x, y)| *x -= along * y);
        }
        let size = dot(&new, &new).sqrt();
        if size > 1e-6 {
            new.iter_mut().for_each(|x| *x /= size);
            found.push(new);
        }
    }
    for (i, vector) in found.iter().enumerate() {
        for (j, x) in vector.iter().enumerate() {
            let at = if rows <= columns { i * columns + j } else { j * columns + i };
            values[at] = (x * f64::from(gain)) as f32;
        }
    }
}

/// Of `[out, in, ..]` the middle of filter o of each group at input channel o, 1; all else 0.
pub(super) fn dirac(values: &mut [f32], shape: &[usize], groups: usize) {
    values.fill(0.0);
    let &[outputs, inputs, ref window @ ..] = shape else { return };
    let middle = window.iter().fold(0, |at, size| at * size + size / 2);
    let (size, each) = (window.iter().product::<usize>(), outputs / groups);
    for output in 0..outputs {
        let input = output % each;
        if input < inputs {
            values[(output * inputs + input) * size + middle] = 1.0;
        }
    }
}
