//! Gradients of a reference by central differences.

use crate::Array;

/// The central difference's step at the value `x`: ∛ε · max(|x|, 1/16), about 6e-6 of the value.
///
/// ∛ε balances the truncation error, which grows with step², against rounding, which grows with
/// 1/step; both are then near 1e-10 for an operation of moderate curvature. The step shrinks with
/// the value because logarithm, root and quotient curve ever more strongly towards zero, and stops
/// shrinking at 1/16 where rounding would take over.
pub fn step(x: f64) -> f64 {
    f64::EPSILON.cbrt() * x.abs().max(1.0 / 16.0)
}

/// The gradient of `sum(upstream * f(inputs))` with respect to every element of every input.
///
/// Each element x costs two calls of `f`, at x + [`step`]`(x)` and x - `step(x)`. The two outputs
/// are subtracted before they are weighted and summed, so elements that do not depend on x cancel
/// exactly. `f` must be smooth within a step of each element: see
/// [`crate::sample::Sampler::away_from`] and [`crate::sample::Sampler::distinct`].
///
/// Returns one array per input, of that input's shape.
///
/// # Panics
/// Where the shape of `f`'s output is not `upstream`'s.
#[track_caller]
pub fn numeric_gradient(inputs: &[Array], upstream: &Array, f: impl Fn(&[Array]) -> Array) -> Vec<Array> {
    let output = f(inputs).shape;
    assert_eq!(upstream.shape, output, "the upstream gradient must have the shape of the output");
    let mut moved = inputs.to_vec();
    let mut gradients: Vec<Array> = inputs.iter().map(|x| Array::zeros(&x.shape)).collect();
    for (input, gradient) in gradients.iter_mut().enumerate() {
        for (element, slot) in gradient.data.iter_mut().enumerate() {
            let x = inputs[input].data[element];
            // Neither sum is exact; dividing by the distance really moved removes that error.
            let (above, below) = (x + step(x), x - step(x));
            moved[input].data[element] = above;
            let y_above = f(&moved);
            moved[input].data[element] = below;
            let y_below = f(&moved);
            moved[input].data[element] = x;

            let pairs = y_above.data.iter().zip(&y_below.data);
            let difference: f64 = upstream.data.iter().zip(pairs).map(|(dy, (a, b))| dy * (a - b)).sum();
            *slot = difference / (above - below);
        }
    }
    gradients
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;

    #[test]
    fn product_rule_under_an_upstream_gradient() {
        let a = Array::new(&[3], vec![1.5, -2.0, 0.25]);
        let b = Array::new(&[3], vec![4.0, 0.5, -3.0]);
        let dy = Array::new(&[3], vec![2.0, -1.0, 0.5]);
        let gradients = numeric_gradient(&[a, b], &dy, |x| reference::mul(&x[0], &x[1]));
        for (got, want) in gradients[0].data.iter().zip([8.0, -0.5, -1.5]) {
            assert!((got - want).abs() < 1e-9, "{got} {want}");
        }
        for (got, want) in gradients[1].data.iter().zip([3.0, 2.0, 0.125]) {
            assert!((got - want).abs() < 1e-9, "{got} {want}");
        }
    }

    #[test]
    fn a_shared_input_gets_the_sum_over_its_uses() {
        let a = Array::new(&[1], vec![3.0]);
        let b = Array::new(&[4], vec![1.0, 2.0, 3.0, 4.0]);
        let dy = Array::full(&[4], 1.0);
        let gradients = numeric_gradient(&[a, b], &dy, |x| reference::mul(&x[0], &x[1]));
        assert!((gradients[0].data[0] - 10.0).abs() < 1e-9);
    }

    #[test]
    fn small_values_keep_their_relative_accuracy() {
        let x = Array::new(&[3], vec![1e-3, 1e-2, 50.0]);
        let dy = Array::full(&[3], 1.0);
        let dx = &numeric_gradient(std::slice::from_ref(&x), &dy, |x| reference::log(&x[0]))[0];
        for (got, x) in dx.data.iter().zip(&x.data) {
            assert!((got * x - 1.0).abs() < 1e-6, "{got} at {x}");
        }
    }

    #[test]
    #[should_panic(expected = "shape of the output")]
    fn the_upstream_shape_is_checked() {
        numeric_gradient(&[Array::zeros(&[2])], &Array::zeros(&[3]), |x| x[0].clone());
    }
}
