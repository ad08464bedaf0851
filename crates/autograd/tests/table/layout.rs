//! Ops that move elements.

use wgrad_autograd::{Tensor, concat};
use wgrad_testkit::{Array, reference as r};

use super::{Row, UNIT, row, signed};

/// The shapes of all inputs, for each case.
type Cases<'a> = &'a [&'a [&'a [usize]]];

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        row(
            "reshape",
            &[&[&[4, 6]], &[&[24]]],
            UNIT,
            |x| x[0].reshape(&[2, 3, 4]),
            |x| r::reshape(&x[0], &[2, 3, 4]),
        ),
        row("reshape to a scalar", &[&[&[1, 1]]], UNIT, |x| x[0].reshape(&[]), |x| r::reshape(&x[0], &[])),
        row("flatten", &[&[&[2, 3, 4]]], UNIT, |x| x[0].flatten(1), |x| r::reshape(&x[0], &[2, 12])),
        row(
            "flatten all",
            &[&[&[2, 3, 4]], &[&[24]]],
            UNIT,
            |x| x[0].flatten(0),
            |x| r::reshape(&x[0], &[24]),
        ),
    ];
    let permutations: [(&'static [usize], Cases); 5] = [
        (&[0], &[&[&[7]]]),
        (&[1, 0], &[&[&[1, 1]], &[&[5, 7]], &[&[17, 65]]]),
        (&[2, 0, 1], &[&[&[2, 3, 5]], &[&[4, 1, 7]]]),
        (&[0, 1, 2], &[&[&[2, 3, 5]]]),
        (&[3, 1, 2, 0], &[&[&[2, 3, 4, 5]]]),
    ];
    for (axes, cases) in permutations {
        let op = move |x: &[Tensor]| x[0].permute(&signed(axes));
        rows.push(row(format!("permute {axes:?}"), cases, UNIT, op, move |x| r::permute(&x[0], axes)));
    }
    for (axis, start, end) in [(0, 0, 1), (0, 1, 3), (1, 2, 5), (1, 0, 5), (1, 4, 5)] {
        let op = move |x: &[Tensor]| x[0].slice(axis as isize, start, end);
        let reference = move |x: &[Array]| r::slice(&x[0], axis, start, end);
        rows.push(row(
            format!("slice {start}..{end} of axis {axis}"),
            &[&[&[3, 5]], &[&[4, 5, 7]], &[&[3, 6, 1, 2]]],
            UNIT,
            op,
            reference,
        ));
    }
    rows.push(row(
        "index_select",
        &[&[&[3, 5]], &[&[2, 4, 7]]],
        UNIT,
        |x| x[0].index_select(1, &Tensor::from_slice(x[0].gpu(), &[3, 0, 3, 1], &[4])?),
        |x| {
            let parts = [3, 0, 3, 1].map(|at| r::slice(&x[0], 1, at, at + 1));
            r::concat(&parts.each_ref(), 1)
        },
    ));
    rows.push(row(
        "gather",
        &[&[&[4, 3]]],
        UNIT,
        |x| x[0].gather(0, &Tensor::from_slice(x[0].gpu(), &[3, 0, 3, 1, 0, 2], &[2, 3])?),
        |x| Array::new(&[2, 3], [9, 1, 11, 3, 1, 8].map(|at| x[0].data[at]).to_vec()),
    ));
    rows.extend(broadcasts());
    rows.extend(concats());
    rows
}

fn broadcasts() -> Vec<Row> {
    let broadcast = |shape: &'static [usize], cases: &[&[&[usize]]]| {
        let op = move |x: &[Tensor]| x[0].broadcast_to(shape);
        row(format!("broadcast_to {shape:?}"), cases, UNIT, op, move |x| r::broadcast_to(&x[0], shape))
    };
    vec![
        broadcast(&[5], &[&[&[]], &[&[1]], &[&[5]]]),
        broadcast(&[3, 4, 5], &[&[&[]], &[&[5]], &[&[4, 1]], &[&[3, 1, 5]], &[&[1, 4, 1]], &[&[3, 4, 5]]]),
    ]
}

fn concats() -> Vec<Row> {
    let joined = |axis: usize, cases: &[&[&[usize]]]| {
        let op = move |x: &[Tensor]| concat(&x.iter().collect::<Vec<_>>(), axis as isize);
        let reference = move |x: &[Array]| r::concat(&x.iter().collect::<Vec<_>>(), axis);
        row(format!("concat along {axis}"), cases, UNIT, op, reference)
    };
    vec![
        joined(0, &[&[&[1]], &[&[3], &[5]], &[&[2, 3], &[1, 3], &[4, 3]]]),
        joined(1, &[&[&[2, 3], &[2, 1]], &[&[2, 3, 5], &[2, 2, 5], &[2, 1, 5]]]),
        joined(2, &[&[&[2, 3, 5], &[2, 3, 2]]]),
        row(
            "concat of one tensor with itself",
            &[&[&[2, 3]]],
            UNIT,
            |x| concat(&[&x[0], &x[0]], 1),
            |x| r::concat(&[&x[0], &x[0]], 1),
        ),
    ]
}
