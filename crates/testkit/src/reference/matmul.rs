//! Matrix products.

use crate::Array;

/// The product of matrices in the last two axes, either side transposed first.
///
/// Shapes: `[.., m, k]` (or `[.., k, m]` under `transpose_a`) and `[.., k, n]` (or `[.., n, k]`
/// under `transpose_b`) to `[.., m, n]`. The leading axes are equal, or one operand is a plain
/// matrix and serves all of the other's.
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
    let fits = batch_a == batch_b || batch_a.is_empty() || batch_b.is_empty();
    assert!(fits, "the batches of {:?} and {:?} differ", a.shape, b.shape);
    let batch = if batch_a.is_empty() { batch_b } else { batch_a };

    let mut data = Vec::new();
    for item in 0..batch.iter().product() {
        let a_item = if batch_a.is_empty() { 0 } else { item * m * k };
        let b_item = if batch_b.is_empty() { 0 } else { item * k * n };
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
    Array::new(&[batch, &[m, n]].concat(), data)
}

/// Leading axes, rows and columns.
#[track_caller]
fn split(x: &Array) -> (&[usize], usize, usize) {
    let [batch @ .., rows, cols] = x.shape.as_slice() else {
        panic!("matmul takes operands of two or more axes, not {:?}", x.shape);
    };
    (batch, *rows, *cols)
}
