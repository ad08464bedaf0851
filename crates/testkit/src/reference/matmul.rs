//! Matrix products.

use super::{broadcast_shape, broadcast_to};
use crate::Array;

/// The product of matrices in the last two axes, either side transposed first.
///
/// Shapes: `[.., m, k]` (or `[.., k, m]` under `transpose_a`) and `[.., k, n]` (or `[.., n, k]`
/// under `transpose_b`) to `[.., m, n]`. The leading axes broadcast by NumPy's rules.
///
/// # Panics
/// Where the operands do not fit these shapes.
#[track_caller]
pub fn matmul(a: &Array, b: &Array, transpose_a: bool, transpose_b: bool) -> Array {
    let (batch_a, rows_a, cols_a) = split(a);
    let (batch_b, rows_b, cols_b) = split(b);
    let (m, k) = if transpose_a { (cols_a, rows_a) } else { (rows_a, cols_a) };
    let (k_b, n) = if transpose_b { (cols_b, rows_b) } else { (rows_b, cols_b) };
    assert_eq!(k, k_b, "matmul sums over {k} in {:?} and over {k_b} in {:?}", a.shape, b.shape);
    let batch = broadcast_shape(batch_a, batch_b);
    let a = broadcast_to(a, &[&batch[..], &[rows_a, cols_a]].concat());
    let b = broadcast_to(b, &[&batch[..], &[rows_b, cols_b]].concat());

    let mut data = Vec::new();
    for item in 0..batch.iter().product() {
        let (a_item, b_item) = (item * m * k, item * k * n);
        for row in 0..m {
            for col in 0..n {
                let mut sum = 0.0;
                for i in 0..k {
                    let a_at = if transpose_a { i * m + row } else { row * k + i };
                    let b_at = if transpose_b { col * k + i } else { i * n + col };
                    sum += a.data[a_item + a_at] * b.data[b_item + b_at];
                }
                data.push(sum);
            }
        }
    }
    Array::new(&[&batch[..], &[m, n]].concat(), data)
}

/// Leading axes, rows and columns.
#[track_caller]
fn split(x: &Array) -> (&[usize], usize, usize) {
    let [batch @ .., rows, cols] = x.shape.as_slice() else {
        panic!("matmul takes operands of two or more axes, not {:?}", x.shape);
    };
    (batch, *rows, *cols)
}
