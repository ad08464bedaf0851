//! Reductions, softmax and pooling.

use wgrad_autograd::{Pool2dOptions, Result, Tensor};
use wgrad_testkit::{Array, reference as r};

use super::{Draw, Row, UNIT, row, signed};

type Reduce = fn(&Tensor, &[isize]) -> Result<Tensor>;
type ReduceAll = fn(&Tensor) -> Result<Tensor>;
type ReferenceAll = fn(&Array) -> Array;
type Reference = fn(&Array, &[usize], bool) -> Array;

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    // Away from 0, so that no gradient of the product or the norm is next to nothing.
    let positive = Draw::Uniform(0.6, 1.4);
    let ops: [(&str, Reduce, Reference, Draw); 8] = [
        ("min", Tensor::min, r::min, Draw::Distinct),
        ("prod", Tensor::prod, r::prod, positive),
        ("norm", Tensor::norm, r::norm, positive),
        ("logsumexp", Tensor::logsumexp, r::logsumexp, UNIT),
        ("var", |x, axes| x.var(axes, 0), |x, axes, keep| r::var(x, axes, 0, keep), UNIT),
        ("sum", Tensor::sum, r::sum, UNIT),
        ("mean", Tensor::mean, r::mean, UNIT),
        ("max", Tensor::max, r::max, Draw::Distinct),
    ];
    for (name, op, reference, draw) in ops {
        rows.extend(reductions(name, op, reference, draw));
    }
    rows.extend(long_rows());
    rows.extend(sorted_and_summed());
    rows.push(row("var", &[&[&[5, 7]]], UNIT, |x| x[0].var(&[1], 1), |x| r::var(&x[0], &[1], 1, false)));
    let deviation = |x: &[wgrad_testkit::Array]| r::sqrt(&r::var(&x[0], &[0], 1, false));
    rows.push(row("std", &[&[&[5, 7]]], UNIT, |x| x[0].std(&[0], 1), deviation));
    let all: [(&str, ReduceAll, ReferenceAll, Draw); 3] = [
        ("sum_all", Tensor::sum_all, r::sum_all, UNIT),
        ("mean_all", Tensor::mean_all, r::mean_all, UNIT),
        ("max_all", Tensor::max_all, r::max_all, Draw::Distinct),
    ];
    // Stages of 256 and of more elements.
    let sizes: &[&[&[usize]]] =
        &[&[&[]], &[&[1]], &[&[7]], &[&[3, 5]], &[&[2, 3, 4]], &[&[257]], &[&[1021]], &[&[64, 64]]];
    for (name, op, reference, draw) in all {
        let row = row(name, sizes, draw, move |x| op(&x[0]), move |x| reference(&x[0]));
        let row = row.terms(|x| x[0].len());
        rows.push(if matches!(draw, Draw::Distinct) { row.kinked() } else { row });
    }
    let shapes: &[&[&[usize]]] =
        &[&[&[1, 1]], &[&[1]], &[&[3, 7]], &[&[2, 3, 5]], &[&[5, 257]], &[&[65, 33]]];
    // Logits far apart: without the shift by the maximum they overflow.
    let far = Draw::Uniform(-60.0, 60.0);
    for (suffix, draw) in [("", Draw::Uniform(-3.0, 3.0)), (", far apart", far)] {
        let log_softmax = |x: &[Tensor]| x[0].log_softmax();
        let both = [
            row(format!("softmax{suffix}"), shapes, draw, |x| x[0].softmax(), |x| r::softmax(&x[0])),
            row(format!("log_softmax{suffix}"), shapes, draw, log_softmax, |x| r::log_softmax(&x[0])),
        ];
        // Far apart, most gradients are next to nothing.
        rows.extend(both.map(|row| if suffix.is_empty() { row } else { row.kinked() }));
    }
    rows.extend(pools());
    rows
}

fn reductions(name: &str, op: Reduce, reference: Reference, draw: Draw) -> Vec<Row> {
    let over = |axes: &'static [usize], cases: &[&[&[usize]]]| {
        let op = move |x: &[Tensor]| op(&x[0], &signed(axes));
        let row =
            row(format!("{name} over {axes:?}"), cases, draw, op, move |x| reference(&x[0], axes, false));
        let row = row.terms(|x| x[0].len());
        let row = if name == "prod" && !axes.is_empty() { row.without_second(&["prod"]) } else { row };
        match name {
            "max" | "min" => row.kinked(),
            // Differences of products and squares of huge numbers are not those of f32.
            "prod" | "norm" | "var" => row.up_to(1e4).kinked(),
            _ => row,
        }
    };
    let longest: &[&[&[usize]]] = match name {
        // Of so many elements the product is out of range, and a difference of the others' results lost.
        "prod" | "logsumexp" | "norm" | "var" => &[&[&[1]], &[&[5, 7]], &[&[4, 3, 5]], &[&[40, 2]]],
        _ => &[&[&[1]], &[&[5, 7]], &[&[4, 3, 5]], &[&[300, 2]], &[&[16_411]]],
    };
    let second: &[&[&[usize]]] = match name {
        "prod" | "logsumexp" | "norm" | "var" => &[&[&[5, 7]], &[&[5, 8]], &[&[3, 36]], &[&[3, 1, 5]]],
        _ => &[&[&[5, 7]], &[&[5, 8]], &[&[3, 260]], &[&[4, 3, 5]], &[&[3, 1, 5]], &[&[1030, 3]]],
    };
    vec![
        // No axis: the value itself.
        over(&[], &[&[&[]], &[&[1]], &[&[3, 5]]]),
        over(&[0], longest),
        over(&[1], second),
        over(&[2], &[&[&[4, 3, 5]], &[&[2, 3, 64]]]),
        over(&[1, 2], &[&[&[4, 3, 5]], &[&[2, 3, 4, 5]]]),
        // Not neighbours, and as batch normalisation and a bias have them.
        over(&[0, 2], &[&[&[4, 3, 5]], &[&[4, 1, 5]]]),
        over(&[0, 2, 3], &[&[&[2, 3, 4, 5]], &[&[5, 2, 3, 3]]]),
        over(&[3, 0], &[&[&[2, 3, 4, 5]]]),
    ]
}

/// Running sums along each axis, whole and in chunks, and the largest elements.
fn sorted_and_summed() -> Vec<Row> {
    let cases: &[&[&[usize]]] = &[&[&[4, 3, 5]], &[&[1, 7, 1]]];
    let mut rows: Vec<Row> = (0..3)
        .map(|axis| {
            let op = move |x: &[Tensor]| x[0].cumsum(axis as isize);
            row(format!("cumsum along {axis}"), cases, UNIT, op, move |x| r::cumsum(&x[0], axis))
        })
        .collect();
    let long: &[&[&[usize]]] = &[&[&[2, 1300, 3]]];
    let cumsum = row("cumsum in chunks", long, UNIT, |x| x[0].cumsum(-2), |x| r::cumsum(&x[0], 1));
    rows.push(cumsum.terms(|x| x[0].len()).kinked());
    let lines: &[&[&[usize]]] = &[&[&[3, 7]], &[&[2, 1203]]];
    rows.push(
        row("topk", lines, Draw::Distinct, |x| Ok(x[0].topk(4)?.0), |x| r::topk(&x[0], 4)[0].clone())
            .kinked(),
    );
    rows
}

/// Rows that lanes share, and rows so long that they are cut into chunks.
fn long_rows() -> Vec<Row> {
    let long: &[&[&[usize]]] = &[&[&[3, 4100]], &[&[2, 1203]]];
    let logits = Draw::Uniform(-3.0, 3.0);
    let weight = |x: &[wgrad_testkit::Array]| r::layer_norm(&x[0], &x[1], &x[2], 1e-5);
    let norm = |x: &[Tensor]| x[0].layer_norm(Some(&x[1]), Some(&x[2]), 1e-5);
    let of = |n: usize| vec![vec![2, n], vec![n], vec![n]];
    let norms: Vec<Vec<Vec<usize>>> = [4100, 1203].map(of).to_vec();
    let norms: Vec<Vec<&[usize]>> =
        norms.iter().map(|case| case.iter().map(|shape| &shape[..]).collect()).collect();
    let norms: Vec<&[&[usize]]> = norms.iter().map(|case| &case[..]).collect();
    let rows = [
        row("softmax of long rows", long, logits, |x| x[0].softmax(), |x| r::softmax(&x[0])),
        row("log_softmax of long rows", long, logits, |x| x[0].log_softmax(), |x| r::log_softmax(&x[0])),
        row("sum of long rows", long, UNIT, |x| x[0].sum(&[1]), |x| r::sum(&x[0], &[1], false)),
        row(
            "logsumexp of long rows",
            long,
            UNIT,
            |x| x[0].logsumexp(&[1]),
            |x| r::logsumexp(&x[0], &[1], false),
        ),
        row("layer_norm of long rows", &norms, UNIT, norm, weight),
    ];
    rows.map(|row| row.terms(|x| x[0].len()).kinked()).into()
}

fn pool(name: &str, average: bool, cases: &[&[&[usize]]], options: Pool2dOptions) -> Row {
    let Pool2dOptions { kernel, stride, padding } = options;
    let op = move |x: &[Tensor]| if average { x[0].avg_pool2d(options) } else { x[0].max_pool2d(options) };
    let reference = if average { r::avg_pool2d } else { r::max_pool2d };
    let draw = if average { UNIT } else { Draw::Distinct };
    let row = row(name, cases, draw, op, move |x| reference(&x[0], kernel, stride, padding));
    if average { row } else { row.kinked().without_second(&["max_pool2d"]) }
}

fn pools() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, average) in [("max_pool2d", false), ("avg_pool2d", true)] {
        let pool = |what: &str, cases: &[&[&[usize]]], options| {
            rows.push(pool(&format!("{name}, {what}"), average, cases, options));
        };
        let mut pool = pool;
        pool("2×2", &[&[&[1, 1, 2, 2]], &[&[2, 3, 6, 4]], &[&[1, 2, 7, 5]]], Pool2dOptions::square(2));
        // Outputs of whole vec4s have a kernel of their own.
        pool(
            "2×2 by vec4",
            &[&[&[1, 1, 2, 8]], &[&[2, 3, 4, 8]], &[&[1, 2, 6, 24]]],
            Pool2dOptions::square(2),
        );
        pool("1×1", &[&[&[2, 3, 3, 5]]], Pool2dOptions::square(1));
        let overlapping = Pool2dOptions { kernel: [3, 3], stride: [2, 2], padding: [1, 1] };
        pool("overlapping and padded", &[&[&[2, 3, 7, 5]], &[&[1, 1, 1, 1]]], overlapping);
        let rectangular = Pool2dOptions { kernel: [3, 2], stride: [1, 3], padding: [1, 0] };
        pool("rectangular", &[&[&[2, 2, 5, 11]]], rectangular);
        let sparse = Pool2dOptions { kernel: [2, 2], stride: [3, 3], padding: [0, 0] };
        pool("stride beyond the kernel", &[&[&[1, 2, 8, 7]]], sparse);
    }
    rows
}
