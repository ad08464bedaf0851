//! What a column's numbers come to.

use super::Scaling;

pub(super) fn mean(values: &[f64]) -> f64 {
    // Divided first, or the sum of large numbers would be infinite.
    values.iter().map(|value| value / values.len() as f64).sum()
}

pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        1 => sorted[middle],
        _ => sorted[middle - 1] / 2.0 + sorted[middle] / 2.0,
    }
}

pub(super) fn most_frequent_number(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let runs = sorted.chunk_by(|a, b| a == b);
    // The first of the longest.
    runs.reduce(|best, run| if run.len() > best.len() { run } else { best }).map(|run| run[0])
}

/// What is subtracted, and what the difference is divided by. Equal values are told by their range: their mean may differ
/// from them by rounding, and a deviation from it would be nearly 0.
pub(super) fn scaling(values: &[f64], scaling: Scaling) -> (f64, f64) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let equal = least == most;
    let (offset, scale) = match scaling {
        Scaling::None => (0.0, 1.0),
        _ if equal => (least, 1.0),
        Scaling::Range => (least, most - least),
        Scaling::ZScore => {
            let mean = mean(values);
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2) / values.len() as f64).sum();
            (mean, squares.sqrt())
        }
    };
    // Numbers next to each other, or too far apart for their difference.
    if scale.is_finite() && scale > 0.0 { (offset, scale) } else { (offset, 1.0) }
}
