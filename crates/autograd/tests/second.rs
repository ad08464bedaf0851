//! Second derivatives.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use wgrad_autograd::Gpu;

use crate::table;

/// Every row of the table, by the kernels of the family that the adapter has.
#[test]
fn every_row_has_a_second_derivative_or_names_the_op_without() {
    let gpu = Gpu::builder().poison().quiet().build().unwrap();
    let failures: Vec<String> = table::rows().iter().filter_map(|row| row.second_failure(&gpu)).collect();
    assert!(failures.is_empty(), "{} rows fail:\n{}", failures.len(), failures.join("\n"));
}
