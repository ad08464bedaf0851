//! A step of several batches is a step of one batch of all their rows.

use wgrad_nn::StateDict;

use crate::support::{Setup, rows};

/// The weights after an epoch, and how many steps that were.
fn weights(batch_size: usize, accumulate: usize, n: usize) -> (StateDict, u64) {
    let setup = Setup::plain();
    let train = rows(&setup.gpu, n);
    let history = setup
        .trainer(setup.sgd())
        .batch_size(batch_size)
        .accumulate(accumulate)
        .epochs(2)
        .fit(&train, |batch, mode| setup.loss(batch, mode))
        .unwrap();
    (setup.state(), history.steps)
}

#[test]
fn windows_are_batches_of_all_their_rows() {
    // Rows, batch size and batches a step: the last step has fewer batches, and the last batch fewer rows.
    for (n, batch_size, accumulate) in [(22, 5, 2), (22, 4, 3), (10, 2, 3), (7, 4, 2), (3, 2, 5)] {
        let (parts, steps) = weights(batch_size, accumulate, n);
        let (whole, expected) = weights(batch_size * accumulate, 1, n);
        assert_eq!(steps, expected, "{n} rows in batches of {batch_size}, {accumulate} a step");
        for (name, (_, values)) in &parts.tensors {
            for (a, b) in values.iter().zip(&whole.tensors[name].1) {
                assert!((a - b).abs() < 2e-6, "{name}: {a} {b} of {n} rows, {batch_size} × {accumulate}");
            }
        }
    }
    // The check sees a difference of one row.
    assert_ne!(weights(5, 2, 22).0, weights(5, 2, 21).0);
}
