//! First values: their distributions, PyTorch's bounds and gains, and what cannot be.

use wgrad_nn::{Builder, Error, Fan, Init, Linear, Nonlinearity, Parameters, build};

use crate::common::{bits, gpu};

/// The values of a parameter of this shape that starts so.
fn drawn(shape: &[usize], init: Init) -> Vec<f32> {
    let (_, parameters) = build(&gpu(), 3, |b: &Builder| b.param("a", shape, init)).unwrap();
    parameters.get("a").unwrap().to_vec().unwrap()
}

/// Mean, standard deviation, least and largest.
fn statistics(values: &[f32]) -> [f64; 4] {
    let n = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let var = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
    let ends = values.iter().fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], &v| {
        [low.min(f64::from(v)), high.max(f64::from(v))]
    });
    [mean, var.sqrt(), ends[0], ends[1]]
}

/// Six standard errors of the mean, and of the deviation at most as much.
fn assert_like(init: Init, values: &[f32], mean: f64, std: f64) {
    let [found, deviation, ..] = statistics(values);
    let error = 6.0 * std / (values.len() as f64).sqrt();
    assert!((found - mean).abs() < error, "{init:?}: mean {found}, not {mean}");
    assert!((deviation - std).abs() < error, "{init:?}: deviation {deviation}, not {std}");
}

#[test]
fn values_are_distributed_as_pytorchs() {
    // fan_in 45, fan_out 540.
    let shape = [60, 5, 3, 3];
    let relu = Nonlinearity::Relu;
    let leaky = Nonlinearity::LeakyRelu(0.5);
    // The bound, where there is one, and the deviation: torch.nn.init's formulas.
    let [xavier, in_45, out_540] = [(2.0f64 / 585.0).sqrt(), (1.0f64 / 45.0).sqrt(), (1.0f64 / 540.0).sqrt()];
    let root3 = 3.0f64.sqrt();
    for (init, std, is_uniform) in [
        (Init::XavierUniform { gain: 1.0 }, xavier, true),
        (Init::XavierNormal { gain: 2.0 }, 2.0 * xavier, false),
        (Init::KaimingUniform { fan: Fan::In, nonlinearity: relu }, 2.0f64.sqrt() * in_45, true),
        (Init::KaimingNormal { fan: Fan::Out, nonlinearity: relu }, 2.0f64.sqrt() * out_540, false),
        (Init::KaimingUniform { fan: Fan::Out, nonlinearity: leaky }, 1.6f64.sqrt() * out_540, true),
        (Init::fan_in(45), in_45 / root3, true),
        (Init::Normal { std: 0.5 }, 0.5, false),
    ] {
        let values = drawn(&shape, init);
        assert_like(init, &values, 0.0, std);
        let [.., low, high] = statistics(&values);
        let bound = std * root3;
        if is_uniform {
            assert!(low >= -bound * 1.000_001 && high <= bound * 1.000_001, "{init:?}: {low} to {high}");
            assert!(low < -0.99 * bound && high > 0.99 * bound, "{init:?}: {low} to {high} of {bound}");
        } else {
            assert!(low < -1.5 * bound && high > 1.5 * bound, "{init:?}: {low} to {high} of {bound}");
        }
    }
    let init = Init::UniformRange { low: 2.0, high: 5.0 };
    let values = drawn(&shape, init);
    assert_like(init, &values, 3.5, 3.0 / 12.0f64.sqrt());
    assert!(values.iter().all(|v| (2.0..=5.0).contains(v)));
}

#[test]
fn truncated_normals_lie_within_their_bounds() {
    // Standard deviations of a normal distribution cut at ±2, at -1 and 3, and of an even one.
    for (init, mean, std) in [
        (Init::TruncatedNormal { mean: 0.0, std: 1.0, low: -2.0, high: 2.0 }, 0.0, 0.8796),
        // Mean and deviation of a standard normal between -1 and 3 are 0.2828 and 0.7849.
        (
            Init::TruncatedNormal { mean: 1.0, std: 0.5, low: 0.5, high: 2.5 },
            1.0 + 0.5 * 0.282_7,
            0.5 * 0.784_9,
        ),
        (Init::TruncatedNormal { mean: 0.0, std: 1.0, low: 1.0, high: 1.01 }, 1.005, 0.01 / 12.0f64.sqrt()),
    ] {
        let values = drawn(&[100, 100], init);
        let Init::TruncatedNormal { low, high, .. } = init else { unreachable!() };
        assert!(values.iter().all(|v| (low..=high).contains(v)), "{init:?}");
        assert_like(init, &values, mean, std);
    }
}

#[test]
fn gains_are_pytorchs() {
    // torch.nn.init.calculate_gain.
    for (nonlinearity, gain) in [
        (Nonlinearity::Linear, 1.0),
        (Nonlinearity::Sigmoid, 1.0),
        (Nonlinearity::Tanh, 1.666_666_6),
        (Nonlinearity::Relu, std::f32::consts::SQRT_2),
        (Nonlinearity::LeakyRelu(0.01), 1.414_142_8),
        (Nonlinearity::Selu, 0.75),
    ] {
        assert!((nonlinearity.gain() - gain).abs() < 1e-6, "{nonlinearity:?}: {}", nonlinearity.gain());
    }
}

#[test]
fn orthogonal_rows_or_columns_are_at_right_angles() {
    for shape in [&[7, 5][..], &[5, 7], &[6, 6], &[4, 3, 3, 3], &[1, 1]] {
        let (rows, columns) = (shape[0], shape[1..].iter().product::<usize>());
        let values = drawn(shape, Init::Orthogonal { gain: 2.0 });
        let at = |row: usize, column: usize| f64::from(values[row * columns + column]);
        let count = rows.min(columns);
        for i in 0..count {
            for j in 0..count {
                let product: f64 = match rows <= columns {
                    true => (0..columns).map(|k| at(i, k) * at(j, k)).sum(),
                    false => (0..rows).map(|k| at(k, i) * at(k, j)).sum(),
                };
                let want = if i == j { 4.0 } else { 0.0 };
                assert!((product - want).abs() < 1e-6, "{shape:?}: {i} by {j} is {product}");
            }
        }
    }
}

#[test]
fn dirac_hands_the_input_on() {
    let gpu = gpu();
    let (w, _) = build(&gpu, 0, |b| b.param("w", &[3, 3, 3, 5], Init::Dirac { groups: 1 })).unwrap();
    let image = Init::Uniform { bound: 1.0 };
    let (x, _) = build(&gpu, 1, |b| b.param("x", &[2, 3, 6, 7], image)).unwrap();
    let options = wgrad_nn::autograd::Conv2dOptions { padding: [1, 2], ..Default::default() };
    let y = x.tensor().unwrap().conv2d(w.tensor().unwrap(), None, options).unwrap();
    assert_eq!(y.to_vec().unwrap(), x.tensor().unwrap().to_vec().unwrap());
    // torch.nn.init.dirac_(torch.empty(4, 2, 3), groups=2).nonzero().
    let values = drawn(&[4, 2, 3], Init::Dirac { groups: 2 });
    let ones: Vec<usize> = (0..24).filter(|&i| values[i] != 0.0).collect();
    assert_eq!(ones, [1, 6 + 4, 12 + 1, 18 + 4]);
    // More outputs than inputs: the rest is 0.
    assert_eq!(drawn(&[3, 1, 1], Init::Dirac { groups: 1 }), [1.0, 0.0, 0.0]);
}

fn model() -> Parameters {
    let layers = |b: &Builder| [Linear::new(&b.scope("fc1"), 4, 3), Linear::new(&b.scope("fc2"), 3, 2)];
    build(&gpu(), 0, layers).unwrap().1
}

#[test]
fn layers_can_be_given_other_first_values() {
    let (parameters, other) = (model(), model());
    parameters.reinit("*.bias", Init::Constant(0.5), 0).unwrap();
    parameters.reinit("fc1.weight", Init::Orthogonal { gain: 1.0 }, 7).unwrap();
    let value = |parameters: &Parameters, name: &str| parameters.get(name).unwrap().to_vec().unwrap();
    assert_eq!(value(&parameters, "fc1.bias"), [0.5; 3]);
    assert_eq!(value(&parameters, "fc2.bias"), [0.5; 2]);
    assert_eq!(bits(&value(&parameters, "fc2.weight")), bits(&value(&other, "fc2.weight")));
    assert_ne!(value(&parameters, "fc1.weight"), value(&other, "fc1.weight"));
    // By seed and name alone.
    other.reinit("fc1.*", Init::Normal { std: 1.0 }, 1).unwrap();
    other.reinit("fc1.weight", Init::Orthogonal { gain: 1.0 }, 7).unwrap();
    assert_eq!(bits(&value(&parameters, "fc1.weight")), bits(&value(&other, "fc1.weight")));

    let before = value(&parameters, "fc1.weight");
    for (pattern, init) in [
        ("fc3.*", Init::Constant(0.0)),
        // A bias has no fans.
        ("fc1.*", Init::XavierNormal { gain: 1.0 }),
        ("*.weight", Init::Dirac { groups: 1 }),
        ("*.weight", Init::UniformRange { low: 1.0, high: 0.0 }),
    ] {
        let error = parameters.reinit(pattern, init, 0).unwrap_err();
        assert!(matches!(error, Error::Options { .. }), "{pattern} {init:?}: {error}");
    }
    assert_eq!(bits(&value(&parameters, "fc1.weight")), bits(&before), "and nothing is changed");
}

#[test]
fn first_values_that_cannot_be_are_refused() {
    let truncated = |mean, std, low, high| Init::TruncatedNormal { mean, std, low, high };
    for (shape, init) in [
        (&[3, 2][..], Init::Uniform { bound: -1.0 }),
        (&[3, 2], Init::Normal { std: f32::NAN }),
        (&[3, 2], Init::UniformRange { low: 0.0, high: f32::INFINITY }),
        (&[3, 2], truncated(0.0, -1.0, -2.0, 2.0)),
        (&[3, 2], truncated(0.0, 1.0, 2.0, -2.0)),
        (&[3, 2], truncated(0.0, 1.0, 5.0, 6.0)),
        (&[3], Init::XavierUniform { gain: 1.0 }),
        (&[3, 2], Init::XavierUniform { gain: f32::NAN }),
        (&[3], Init::KaimingNormal { fan: Fan::In, nonlinearity: Nonlinearity::Relu }),
        (&[3], Init::Orthogonal { gain: 1.0 }),
        (&[3, 2], Init::Dirac { groups: 1 }),
        (&[3, 2, 1], Init::Dirac { groups: 2 }),
        (&[3, 2, 1], Init::Dirac { groups: 0 }),
    ] {
        let error = build(&gpu(), 0, |b| b.param("a", shape, init)).err().unwrap();
        assert!(matches!(error, Error::Options { what: "parameter", .. }), "{init:?}: {error}");
    }
    // What has no elements starts as anything.
    build(&gpu(), 0, |b| b.param("a", &[0, 3], Init::Orthogonal { gain: 1.0 })).unwrap();
}
