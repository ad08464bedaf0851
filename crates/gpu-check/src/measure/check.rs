//! Holding results against f64 references.

use wgrad_testkit::Array;
use wgrad_testkit::compare::check_close;

use crate::{Error, Result};

/// The largest error of `got`, or what is wrong. `terms` is the length of the longest sum that an element is made of; the
/// tolerances are those of the table of ops.
pub fn compare(what: &str, got: &Array, want: &Array, terms: usize) -> Result<f64> {
    let atol = f64::max(1e-5, 6e-8 * terms as f64);
    check_close(what, &got.to_f32(), want, 1e-4, atol).map_err(Error::Wrong)
}
