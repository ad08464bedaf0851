//! Second derivatives.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use wgrad_autograd::Gpu;
use wgrad_autograd::device::Family;

use crate::table;

/// Every row of the table, by the kernels of both families.
#[test]
fn every_row_has_a_second_derivative_or_names_the_op_without() {
    let _alone = table::alone();
    let failures: Vec<String> = [Family::Cpu, Family::Gpu]
        .into_iter()
        .flat_map(|family| {
            let gpu = Gpu::builder().poison().quiet().family(family).build().unwrap();
            let failure = |row: &table::Row| Some(format!("{family:?}: {}", row.second_failure(&gpu)?));
            table::rows().iter().filter_map(failure).collect::<Vec<_>>()
        })
        .collect();
    assert!(failures.is_empty(), "{} rows fail:\n{}", failures.len(), failures.join("\n"));
}
