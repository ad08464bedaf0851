//! Splits, folds and weights: sizes, every row once, and the same rows for the same seed.

use wgrad_data::Draw;
use wgrad_data::split::{
    Rows, class_weights, k_fold, split, stratified_k_fold, stratified_split, weighted_rows,
};

/// Labels of classes that occur 50, 17, 3 and 1 times, mixed.
fn labels() -> Vec<u8> {
    let mut labels = [vec![0; 50], vec![1; 17], vec![2; 3], vec![3; 1]].concat();
    for i in 0..labels.len() {
        labels.swap(i, (i * 37 + 11) % 71);
    }
    labels
}

fn check(rows: &Rows, n: usize) {
    let mut all = [&rows.train[..], &rows.test[..]].concat();
    assert!(rows.train.is_sorted() && rows.test.is_sorted());
    all.sort_unstable();
    assert_eq!(all, (0..n).collect::<Vec<_>>());
}

fn count(rows: &[usize], labels: &[u8], class: u8) -> usize {
    rows.iter().filter(|&&row| labels[row] == class).count()
}

#[test]
fn a_split_has_every_row_once_and_the_size_asked_for() {
    for (n, fraction, test) in [(10, 0.2, 2), (7, 0.5, 4), (1000, 0.1, 100), (3, 0.4, 1)] {
        let rows = split(n, fraction, 5).unwrap();
        check(&rows, n);
        assert_eq!(rows.test.len(), test);
        assert_eq!(split(n, fraction, 5).unwrap(), rows);
    }
    assert_ne!(split(1000, 0.1, 5).unwrap(), split(1000, 0.1, 6).unwrap());
    for (n, fraction) in [(0, 0.5), (1, 0.5), (10, 0.0), (10, 1.0), (10, -0.2), (10, f64::NAN), (10, 7.0)] {
        assert!(split(n, fraction, 0).unwrap_err().to_string().contains("test part"));
    }
}

#[test]
fn a_split_takes_any_row_as_often() {
    let mut found = [0; 20];
    for seed in 0..4000 {
        split(20, 0.25, seed).unwrap().test.iter().for_each(|&row| found[row] += 1);
    }
    // 1,000 each in the mean, with a deviation of 27.
    assert!(found.iter().all(|found| (850..1150).contains(found)), "{found:?}");
}

#[test]
fn a_stratified_split_has_each_class_s_share() {
    let labels = labels();
    for (fraction, seed) in [(0.2, 0), (0.35, 1), (0.5, 2), (0.9, 3)] {
        let rows = stratified_split(&labels, fraction, seed).unwrap();
        check(&rows, labels.len());
        assert_eq!(rows.test.len(), (71.0 * fraction).round() as usize);
        for (class, n) in [(0, 50.0), (1, 17.0), (2, 3.0), (3, 1.0)] {
            let found = count(&rows.test, &labels, class) as f64;
            assert!((found - n * fraction).abs() <= 1.0, "class {class}: {found} of {n}");
        }
    }
}

#[test]
fn the_only_row_of_a_class_is_trained_on() {
    let labels = [0, 0, 0, 0, 1, 2, 2, 2, 2, 2];
    for seed in 0..20 {
        let rows = stratified_split(&labels, 0.2, seed).unwrap();
        check(&rows, labels.len());
        assert_eq!((rows.test.len(), rows.train.contains(&4)), (2, true));
    }
    // Where there is not enough else, such rows are divided as others are: no class of several loses all of its rows.
    for labels in [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [0, 0, 1, 2, 3, 4, 5, 6, 7, 8]] {
        let rows = stratified_split(&labels, 0.2, 0).unwrap();
        check(&rows, 10);
        assert_eq!((rows.test.len(), rows.train.iter().any(|&row| labels[row] == 0)), (2, true), "{rows:?}");
    }
}

#[test]
fn folds_differ_by_one_row_at_most_in_total_and_in_each_class() {
    let labels = labels();
    for k in [2, 3, 5, 10, 71] {
        let stratified = stratified_k_fold(&labels, k, 9).unwrap();
        for folds in [&stratified, &k_fold(labels.len(), k, 9).unwrap()] {
            let mut seen = vec![0; labels.len()];
            folds.iter().for_each(|rows| check(rows, labels.len()));
            folds.iter().flat_map(|rows| &rows.test).for_each(|&row| seen[row] += 1);
            assert!(seen.iter().all(|&seen| seen == 1));
            let sizes: Vec<usize> = folds.iter().map(|rows| rows.test.len()).collect();
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
        }
        for class in 0..4 {
            let sizes: Vec<usize> = stratified.iter().map(|rows| count(&rows.test, &labels, class)).collect();
            assert!(
                sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1,
                "class {class}: {sizes:?}"
            );
        }
    }
    assert_ne!(k_fold(71, 5, 0).unwrap(), k_fold(71, 5, 1).unwrap());
    for (n, k) in [(10, 1), (10, 0), (3, 4)] {
        assert!(k_fold(n, k, 0).unwrap_err().to_string().contains("folds"));
    }
}

#[test]
fn class_weights_are_scikit_learn_s() {
    // compute_class_weight("balanced", classes=[0, 1, 2], y=[0, 0, 0, 1, 2, 2]).
    let weights = class_weights(&[0_u8, 0, 0, 1, 2, 2], 3).unwrap();
    assert_eq!(weights, [0.666_666_7, 2.0, 1.0]);
    assert_eq!(class_weights(&[0_i32, 2, 2, 2], 4).unwrap(), [2.0, 0.0, 0.666_666_7, 0.0]);
    assert!(class_weights(&[0_i32, -1], 3).unwrap_err().to_string().contains("row 1"));
    assert!(class_weights(&[3_u8], 3).is_err());
}

#[test]
fn weighted_rows_come_as_often_as_their_weights_say() {
    let mut weights = vec![0.0; 4000];
    (weights[0], weights[7], weights[3999]) = (1.0, 2.0, 5.0);
    let rows = weighted_rows(&weights, Draw { seed: 3, epoch: 0 }).unwrap();
    assert_eq!(rows.len(), 4000);
    for (row, want) in [(0, 500.0), (7, 1000.0), (3999, 2500.0)] {
        let found = rows.iter().filter(|&&drawn| drawn == row).count() as f64;
        assert!((found - want).abs() < 130.0, "row {row}: {found}");
    }
    assert!(rows.iter().all(|row| [0, 7, 3999].contains(row)));
    assert_eq!(weighted_rows(&weights, Draw { seed: 3, epoch: 0 }).unwrap(), rows);
    assert_ne!(weighted_rows(&weights, Draw { seed: 3, epoch: 1 }).unwrap(), rows);
    assert_ne!(weighted_rows(&weights, Draw { seed: 4, epoch: 0 }).unwrap(), rows);
    for bad in [&[0.0, 0.0][..], &[1.0, -1.0], &[f32::NAN, 1.0], &[]] {
        assert!(weighted_rows(bad, Draw { seed: 0, epoch: 0 }).unwrap_err().to_string().contains("weight"));
    }
}
