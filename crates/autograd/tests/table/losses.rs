//! Losses.

use wgrad_autograd::{CrossEntropyOptions, Tensor};
use wgrad_testkit::{reference as r, sample::Sampler};

use super::{Draw, Row, UNIT, row};

pub fn rows() -> Vec<Row> {
    let pairs: &[&[&[usize]]] = &[&[&[], &[]], &[&[1], &[1]], &[&[7, 3], &[7, 3]], &[&[257], &[257]]];
    let mse = |x: &[Tensor]| x[0].mse_loss(&x[1]);
    let bce = |x: &[Tensor]| x[0].bce_with_logits(&x[1]);
    let mut rows = vec![
        row("mse_loss", pairs, UNIT, mse, |x| r::mse(&x[0], &x[1])),
        row("bce_with_logits", pairs, Draw::Uniform(0.0, 1.0), bce, |x| r::bce_with_logits(&x[0], &x[1])),
        far_bce(),
        row("mse_loss of x and x", &[&[&[5]]], UNIT, |x| x[0].mse_loss(&x[0]), |x| r::mse(&x[0], &x[0]))
            .kinked(),
    ];
    for (shape, draw) in [
        ([1, 1], UNIT),
        ([5, 10], Draw::Uniform(-3.0, 3.0)),
        ([65, 3], Draw::Uniform(-30.0, 30.0)),
        ([7, 257], Draw::Uniform(-3.0, 3.0)),
        ([3, 4100], Draw::Uniform(-3.0, 3.0)),
    ] {
        for smoothing in [0.0, 0.1, 1.0] {
            rows.push(cross_entropy(shape, draw, smoothing, None));
        }
        rows.push(cross_entropy(shape, draw, 0.1, Some(shape[1])));
    }
    rows
}

/// Logits far from 0, where e^x is out of proportion or lost.
fn far_bce() -> Row {
    let target = Sampler::new(11).uniform(&[5, 7], 0.0, 1.0);
    let uploaded = target.clone();
    let op = move |x: &[Tensor]| {
        let target = Tensor::from_slice(x[0].gpu(), &uploaded.to_f32(), &uploaded.shape)?;
        x[0].bce_with_logits(&target)
    };
    let far = Draw::Uniform(-40.0, 40.0);
    row("bce_with_logits, far", &[&[&[5, 7]]], far, op, move |x| r::bce_with_logits(&x[0], &target)).kinked()
}

fn cross_entropy([n, classes]: [usize; 2], draw: Draw, smoothing: f32, ignored: Option<usize>) -> Row {
    let mut labels = Sampler::new(12).labels(n, classes);
    if let Some(ignored) = ignored {
        // All but the first.
        labels.iter_mut().skip(1).step_by(2).for_each(|label| *label = ignored);
    }
    let uploaded: Vec<i32> = labels.iter().map(|&label| label as i32).collect();
    let options =
        CrossEntropyOptions { label_smoothing: smoothing, ignore_index: ignored.map(|label| label as i32) };
    let op = move |x: &[Tensor]| {
        x[0].cross_entropy_with(&Tensor::from_slice(x[0].gpu(), &uploaded, &[n])?, options)
    };
    let reference = move |x: &[wgrad_testkit::Array]| {
        r::cross_entropy_ignoring(&x[0], &labels, f64::from(smoothing), ignored)
    };
    let what = if ignored.is_some() { ", some ignored" } else { "" };
    let name = format!("cross_entropy, smoothing {smoothing}{what}");
    let row = row(name, &[&[&[n, classes]]], draw, op, reference);
    // With logits far apart, most gradients are next to nothing.
    if matches!(draw, Draw::Uniform(low, _) if low < -10.0) { row.kinked() } else { row }
}
