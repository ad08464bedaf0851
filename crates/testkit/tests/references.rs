//! References against values worked out by hand.

use wgrad_testkit::Array;
use wgrad_testkit::reference::*;

fn array(shape: &[usize], data: &[f64]) -> Array {
    Array::new(shape, data.to_vec())
}

/// 0, 1, 2, … in row-major order.
fn counting(shape: &[usize]) -> Array {
    let mut next = -1.0;
    Array::from_fn(shape, |_| {
        next += 1.0;
        next
    })
}

#[test]
fn arithmetic_broadcasts() {
    let column = array(&[2, 1], &[10.0, 20.0]);
    let row = array(&[3], &[1.0, 2.0, 4.0]);
    assert_eq!(add(&column, &row), array(&[2, 3], &[11.0, 12.0, 14.0, 21.0, 22.0, 24.0]));
    assert_eq!(sub(&column, &row), array(&[2, 3], &[9.0, 8.0, 6.0, 19.0, 18.0, 16.0]));
    assert_eq!(mul(&column, &row), array(&[2, 3], &[10.0, 20.0, 40.0, 20.0, 40.0, 80.0]));
    assert_eq!(div(&column, &row), array(&[2, 3], &[10.0, 5.0, 2.5, 20.0, 10.0, 5.0]));
    assert_eq!(add(&row, &Array::scalar(1.0)), array(&[3], &[2.0, 3.0, 5.0]));
    assert_eq!(broadcast_shape(&[4, 1, 3], &[2, 1]), [4, 2, 3]);
    assert_eq!(broadcast_shape(&[1, 3], &[0, 1]), [0, 3]);
    assert_eq!(broadcast_to(&row, &[2, 3]).data, [1.0, 2.0, 4.0, 1.0, 2.0, 4.0]);
}

#[test]
#[should_panic(expected = "do not broadcast")]
fn arithmetic_rejects_other_lengths() {
    add(&Array::zeros(&[2]), &Array::zeros(&[3]));
}

#[test]
#[should_panic(expected = "does not broadcast to [1, 3]")]
fn broadcast_to_does_not_shrink() {
    broadcast_to(&Array::zeros(&[2, 3]), &[1, 3]);
}

#[test]
fn elementwise_values() {
    let x = array(&[5], &[-4.0, -1.0, 0.0, 1.0, 4.0]);
    assert_eq!(neg(&x).data, [4.0, 1.0, 0.0, -1.0, -4.0]);
    assert_eq!(abs(&x).data, [4.0, 1.0, 0.0, 1.0, 4.0]);
    assert_eq!(relu(&x).data, [0.0, 0.0, 0.0, 1.0, 4.0]);
    assert_eq!(square(&x).data, [16.0, 1.0, 0.0, 1.0, 16.0]);
    assert_eq!(clamp(&x, -2.0, 1.0).data, [-2.0, -1.0, 0.0, 1.0, 1.0]);
    // As in PyTorch, the upper bound wins where the two are crossed.
    assert_eq!(clamp(&x, 2.0, 1.0).data, [1.0; 5]);
    assert_eq!(sqrt(&abs(&x)).data, [2.0, 1.0, 0.0, 1.0, 2.0]);
    assert_eq!(sigmoid(&x).data[2], 0.5);
    assert_eq!(sigmoid(&array(&[2], &[-800.0, 800.0])).data, [0.0, 1.0]);
    assert_eq!(gelu(&array(&[3], &[-50.0, 0.0, 50.0])).data, [0.0, 0.0, 50.0]);
    assert_eq!([erf(0.0), erf(7.0), erf(-7.0), erfc(0.0), erfc(30.0)], [0.0, 1.0, -1.0, 1.0, 0.0]);
    assert_eq!([erf(f64::INFINITY), erfc(f64::INFINITY), erfc(f64::NEG_INFINITY)], [1.0, 0.0, 2.0]);
}

#[test]
fn nan_travels() {
    let x = array(&[1, 1, 1, 3], &[1.0, f64::NAN, 2.0]);
    let row = reshape(&x, &[1, 3]);
    for y in [relu(&x), clamp(&x, 0.0, 1.0), gelu(&x), abs(&x)] {
        assert!(y.data[1].is_nan() && !y.data[0].is_nan());
    }
    for y in [max_all(&x), max_pool2d(&x, [1, 3], [1, 1], [0, 0]), softmax(&row)] {
        assert!(y.data[0].is_nan());
    }
    assert!(bce_with_logits(&x, &Array::zeros(&[1, 1, 1, 3])).data[0].is_nan());
    assert_eq!(argmax(&row, 1, false).data, [1.0]);
}

#[test]
fn matmul_in_all_four_transpositions() {
    let a = array(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let b = array(&[3, 2], &[7.0, 8.0, 9.0, 10.0, 11.0, 12.0]);
    let want = array(&[2, 2], &[58.0, 64.0, 139.0, 154.0]);
    let (at, bt) = (permute(&a, &[1, 0]), permute(&b, &[1, 0]));
    assert_eq!(matmul(&a, &b, false, false), want);
    assert_eq!(matmul(&at, &b, true, false), want);
    assert_eq!(matmul(&a, &bt, false, true), want);
    assert_eq!(matmul(&at, &bt, true, true), want);
}

#[test]
fn matmul_batches() {
    let a = counting(&[2, 1, 2]);
    let b = counting(&[2, 2, 1]);
    assert_eq!(matmul(&a, &b, false, false), array(&[2, 1, 1], &[1.0, 13.0]));
    let shared = array(&[2, 1], &[1.0, 10.0]);
    assert_eq!(matmul(&a, &shared, false, false), array(&[2, 1, 1], &[10.0, 32.0]));
    assert_eq!(matmul(&shared, &b, true, false), array(&[2, 1, 1], &[10.0, 32.0]));
    let nothing = matmul(&Array::zeros(&[2, 0]), &Array::zeros(&[0, 3]), false, false);
    assert_eq!(nothing, Array::zeros(&[2, 3]));
}

#[test]
#[should_panic(expected = "matmul sums over 3")]
fn matmul_rejects_other_inner_lengths() {
    matmul(&Array::zeros(&[2, 3]), &Array::zeros(&[2, 3]), false, false);
}

#[test]
fn conv2d_small() {
    let x = counting(&[1, 1, 3, 3]);
    let w = array(&[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let plain = Conv2dParams::default();
    assert_eq!(conv2d(&x, &w, None, &plain), array(&[1, 1, 2, 2], &[27.0, 37.0, 57.0, 67.0]));
    let bias = array(&[1], &[0.5]);
    let padded = Conv2dParams { padding: [1, 1], stride: [3, 3], ..plain };
    // Each window meets one corner of the input, with its opposite tap.
    assert_eq!(conv2d(&x, &w, Some(&bias), &padded), array(&[1, 1, 2, 2], &[0.5, 6.5, 12.5, 8.5]));
    let dilated = Conv2dParams { dilation: [2, 2], ..plain };
    assert_eq!(conv2d(&x, &w, None, &dilated), array(&[1, 1, 1, 1], &[0.0 + 4.0 + 18.0 + 32.0]));
}

#[test]
fn conv2d_groups_do_not_mix() {
    let x = array(&[1, 4, 1, 1], &[1.0, 2.0, 3.0, 4.0]);
    let w = array(&[2, 2, 1, 1], &[1.0, 10.0, 100.0, 1000.0]);
    let params = Conv2dParams { groups: 2, ..Conv2dParams::default() };
    assert_eq!(conv2d(&x, &w, None, &params).data, [21.0, 4300.0]);
}

#[test]
fn pooling_at_the_border() {
    let x = array(&[1, 1, 2, 3], &[-1.0, -2.0, -3.0, -4.0, -5.0, -6.0]);
    // Padding is no candidate for the maximum although zero would be the largest value.
    assert_eq!(max_pool2d(&x, [2, 2], [2, 2], [1, 1]).data, [-1.0, -2.0, -4.0, -5.0]);
    // It counts as zero in the mean.
    assert_eq!(avg_pool2d(&x, [2, 2], [2, 2], [1, 1]).data, [-0.25, -1.25, -1.0, -2.75]);
    // A column that fills no window is left out.
    assert_eq!(max_pool2d(&x, [2, 2], [2, 2], [0, 0]), array(&[1, 1, 1, 1], &[-1.0]));
}

#[test]
fn reductions() {
    let x = counting(&[2, 3]);
    assert_eq!([sum_all(&x), mean_all(&x), max_all(&x)], [15.0, 2.5, 5.0].map(Array::scalar));
    // An empty list of axes names none.
    assert_eq!(
        [sum(&x, &[], false), mean(&x, &[], true), max(&x, &[], false)],
        [&x, &x, &x].map(Array::clone)
    );
    assert_eq!(sum(&x, &[0, 1], true), array(&[1, 1], &[15.0]));
    assert_eq!(sum(&x, &[0], false), array(&[3], &[3.0, 5.0, 7.0]));
    assert_eq!(mean(&x, &[1], true), array(&[2, 1], &[1.0, 4.0]));
    assert_eq!(max(&neg(&x), &[1], false), array(&[2], &[0.0, -3.0]));
    assert_eq!(sum(&Array::zeros(&[2, 0]), &[1], false), Array::zeros(&[2]));
    let y = counting(&[2, 2, 2]);
    assert_eq!(sum(&y, &[2, 0], false), array(&[2], &[10.0, 18.0]));
}

#[test]
fn argmax_takes_the_first_of_equals() {
    let x = array(&[2, 3], &[1.0, 7.0, 7.0, 5.0, 5.0, 2.0]);
    assert_eq!(argmax(&x, 1, false), array(&[2], &[1.0, 0.0]));
    assert_eq!(argmax(&x, 0, true), array(&[1, 3], &[1.0, 0.0, 0.0]));
}

#[test]
fn layout() {
    let x = counting(&[2, 3, 2]);
    let y = permute(&x, &[2, 0, 1]);
    assert_eq!(y, array(&[2, 2, 3], &[0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 1.0, 3.0, 5.0, 7.0, 9.0, 11.0]));
    assert_eq!(permute(&y, &[1, 2, 0]), x);
    assert_eq!(reshape(&x, &[4, 3]).at(&[3, 2]), 11.0);
    let parts = [slice(&x, 1, 0, 1), slice(&x, 1, 1, 3)];
    assert_eq!(parts[0], array(&[2, 1, 2], &[0.0, 1.0, 6.0, 7.0]));
    assert_eq!(concat(&[&parts[0], &parts[1]], 1), x);
    assert_eq!(concat(&[&parts[1], &parts[0]], 1).data[..6], [2.0, 3.0, 4.0, 5.0, 0.0, 1.0]);
    assert!(slice(&x, 0, 2, 2).is_empty());
}

#[test]
fn softmax_does_not_overflow() {
    let x = array(&[2, 2], &[1000.0, 1000.0, -1000.0, 0.0]);
    assert_eq!(softmax(&x).data, [0.5, 0.5, 0.0, 1.0]);
    let half = -std::f64::consts::LN_2;
    assert_eq!(log_softmax(&x).data, [half, half, -1000.0, 0.0]);
}

#[test]
fn losses_of_certain_predictions() {
    let x = array(&[2, 2], &[1000.0, 0.0, 0.0, 1000.0]);
    assert_eq!(cross_entropy(&x, &[0, 1], 0.0), Array::scalar(0.0));
    assert_eq!(cross_entropy(&x, &[1, 1], 0.0), Array::scalar(500.0));
    assert_eq!(cross_entropy(&x, &[0, 1], 0.5), Array::scalar(250.0));
    let t = array(&[2, 2], &[1.0, 0.0, 1.0, 1.0]);
    let want = (2.0 * std::f64::consts::LN_2) / 4.0;
    assert!((bce_with_logits(&x, &t).data[0] - want).abs() < 1e-15);
    assert_eq!(mse(&t, &Array::zeros(&[2, 2])), Array::scalar(0.75));
}
