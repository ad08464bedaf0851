//! Splits, folds and weights of rows, each a function of a seed.

use std::collections::BTreeMap;

use rand_pcg::Pcg32;
use rand_pcg::rand_core::{Rng, SeedableRng};

use crate::{Draw, Error, Result};

/// Numbers of rows, each list ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Rows to train on.
    pub train: Vec<usize>,
    /// Rows to judge by, none of them in the training part.
    pub test: Vec<usize>,
}

/// Splits `n` rows at random: `fraction` of them, rounded, are the test part. Counterpart: scikit-learn's `train_test_split`.
///
/// # Errors
/// [`Error::Rows`] where a part would be empty.
pub fn split(n: usize, fraction: f64, seed: u64) -> Result<Rows> {
    stratified_split(&vec![(); n], fraction, seed)
}

/// As [`split`]; each class has its share of the test part, within a row. A class of one row is trained on, and the test part is shared
/// by the others, unless these have less than twice as many rows: then by all.
///
/// # Errors
/// As [`split`].
pub fn stratified_split<L: Ord>(labels: &[L], fraction: f64, seed: u64) -> Result<Rows> {
    let n = labels.len();
    let test = (n as f64 * fraction).round();
    if !(test >= 1.0 && test < n as f64) {
        let message = format!("{fraction} of {n} rows as a test part; both parts need a row");
        return Err(Error::Rows(message));
    }
    let test = test as u128;
    // The test part's places lie evenly among all, so evenly among each class's as well.
    let classes = by_class(labels, seed);
    let single = classes.iter().filter(|rows| rows.len() == 1).count();
    let spares_single = (n - single) as u128 >= 2 * test;
    let (spared, divided): (Vec<_>, Vec<_>) =
        classes.into_iter().partition(|rows| rows.len() == 1 && spares_single);
    let divided = divided.concat();
    let before = |place: usize| place as u128 * test / divided.len() as u128;
    let (mut train_rows, mut test_rows) = (spared.concat(), Vec::new());
    for (place, &row) in divided.iter().enumerate() {
        if before(place + 1) > before(place) { test_rows.push(row) } else { train_rows.push(row) }
    }
    train_rows.sort_unstable();
    test_rows.sort_unstable();
    Ok(Rows { train: train_rows, test: test_rows })
}

/// `k` folds of `n` rows at random: each row is in the test part of one of them. The folds' sizes differ by one at most.
/// Counterpart: scikit-learn's `KFold(shuffle=True)`.
///
/// # Errors
/// [`Error::Rows`] for fewer than two folds, or fewer rows than folds.
pub fn k_fold(n: usize, k: usize, seed: u64) -> Result<Vec<Rows>> {
    stratified_k_fold(&vec![(); n], k, seed)
}

/// As [`k_fold`]; the folds differ by one row at most in each class as well as in total. Counterpart: scikit-learn's
/// `StratifiedKFold(shuffle=True)`.
///
/// # Errors
/// As [`k_fold`].
pub fn stratified_k_fold<L: Ord>(labels: &[L], k: usize, seed: u64) -> Result<Vec<Rows>> {
    if k < 2 || labels.len() < k {
        let message =
            format!("{k} folds of {} rows; give at least 2 folds, and a row for each", labels.len());
        return Err(Error::Rows(message));
    }
    let mut folds = vec![0; labels.len()];
    for (place, row) in by_class(labels, seed).concat().into_iter().enumerate() {
        folds[row] = place % k;
    }
    let rows = |test: usize| {
        let (train, test) = (0..labels.len()).partition(|&row| folds[row] != test);
        Rows { train, test }
    };
    Ok((0..k).map(rows).collect())
}

/// The weight of each of `classes` classes by which all count alike: rows / (classes that occur · rows of the class).
/// A class that does not occur gets 0. Counterpart: scikit-learn's `compute_class_weight("balanced")`.
///
/// # Errors
/// [`Error::Rows`] for a label that is not below `classes`.
pub fn class_weights<L: Copy + TryInto<usize>>(labels: &[L], classes: usize) -> Result<Vec<f32>> {
    let mut counts = vec![0_usize; classes];
    for (row, &label) in labels.iter().enumerate() {
        let count = label.try_into().ok().and_then(|label: usize| counts.get_mut(label));
        *count.ok_or_else(|| Error::Rows(format!("the label of row {row} is not below {classes}")))? += 1;
    }
    let occur = counts.iter().filter(|&&count| count > 0).count();
    let weight = |&count: &usize| match count {
        0 => 0.0,
        _ => (labels.len() as f64 / (occur as f64 * count as f64)) as f32,
    };
    Ok(counts.iter().map(weight).collect())
}

/// Rows drawn with replacement, each as often as its weight says, as many as there are weights. Counterpart: PyTorch's
/// `WeightedRandomSampler`.
///
/// # Errors
/// [`Error::Rows`] where a weight is negative or not finite, or all are 0.
pub fn weighted_rows(weights: &[f32], draw: Draw) -> Result<Vec<usize>> {
    if let Some(row) = weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
        return Err(Error::Rows(format!("row {row} has weight {}; give 0 or more", weights[row])));
    }
    let mut total = 0.0;
    let sums: Vec<f64> = weights
        .iter()
        .map(|&weight| {
            total += f64::from(weight);
            total
        })
        .collect();
    let Some(last) = weights.iter().rposition(|&weight| weight > 0.0) else {
        return Err(Error::Rows("no row has a weight over 0".to_owned()));
    };
    let mut dice = dice(draw.seed ^ (draw.epoch as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let unit = 1.0 / (1_u64 << 53) as f64;
    // Rows of weight 0 end where the one before ends, and are never the first to lie beyond.
    let row = |at: f64| sums.partition_point(|&sum| sum <= at).min(last);
    Ok(weights.iter().map(|_| row((dice.next_u64() >> 11) as f64 * unit * total)).collect())
}

/// The rows of each class, in random order.
fn by_class<L: Ord>(labels: &[L], seed: u64) -> Vec<Vec<usize>> {
    let mut classes: BTreeMap<&L, Vec<usize>> = BTreeMap::new();
    for (row, label) in labels.iter().enumerate() {
        classes.entry(label).or_default().push(row);
    }
    let mut dice = dice(seed);
    for rows in classes.values_mut() {
        for i in (1..rows.len()).rev() {
            let below = ((u128::from(dice.next_u64()) * (i as u128 + 1)) >> 64) as usize;
            rows.swap(i, below);
        }
    }
    classes.into_values().collect()
}

fn dice(seed: u64) -> Pcg32 {
    Pcg32::seed_from_u64(seed)
}
